"""Verify: do the read tables and the archive say what the log says? Compares all of it, and names each difference.

__main__ ──> examination ──> report          the command; the passes; what came out
             │
             ├─ log_reader, snapshot         what is read: from the log, and from Postgres
             ├─ slow_fold                    what the tables have to hold, told a second time
             └─ comparing, books             the two side by side: rows and copies; counters and held workflows
"""
