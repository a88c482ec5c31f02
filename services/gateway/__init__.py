"""The gateway: takes requests in, and shows what happens."""
