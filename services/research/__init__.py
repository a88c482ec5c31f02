"""Research: finds sources."""
