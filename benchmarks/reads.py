"""Lists, pages and searches over 100,000 workflows: how long each takes over HTTP, and how Postgres plans it."""
