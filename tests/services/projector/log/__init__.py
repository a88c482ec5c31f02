"""The log beside its archive: damaged on purpose, found out, and restored."""
