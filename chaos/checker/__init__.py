"""The checker: reads what a run of chaos left behind, and says of each of the fourteen invariants whether it held.

__main__ ──> record ──> invariants/ ──> report
             │
             ├─ shapes, log          what the files hold; the log's events, by workflow
             ├─ language             the rules of a history, told apart from the decider
             └─ telling              how an event, a call or a client's word is told in one line

It shares no code with the driver: it knows the files alone.
"""
