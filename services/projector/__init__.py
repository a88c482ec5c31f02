"""The projector: keeps Postgres' read tables true to the log, and keeps a second copy of the log itself."""
