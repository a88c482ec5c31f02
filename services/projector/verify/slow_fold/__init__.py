"""The slow fold: the rows that the read tables must hold for one workflow, told from its whole history at once.

The independent check of the projector. No row is ever changed here: each column asks the whole history anew ("the
status is what the last event says that opened or closed a run"). It shares no code with the handlers in tables/, so
that a mistake has to be made twice, and in two ways, to stay unseen. Slow, and meant to be obviously right.
"""
