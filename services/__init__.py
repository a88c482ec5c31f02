"""The services: each folder is deployable by itself; they meet only in the log."""
