"""One machine: real NATS, Postgres and S3 and the services as child processes of one supervisor."""
