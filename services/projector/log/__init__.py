"""The log beside its archive: the guard that compares them all the time, and the means to verify and to restore it."""
