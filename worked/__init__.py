"""The worked examples of the docs: what a page has its reader do, done to a copy of the code."""
