"""The restore: a damaged or rolled-back log made whole again from its archive."""
