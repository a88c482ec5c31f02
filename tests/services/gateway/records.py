"""Artefacts as the stages record them, for tests of what the gateway tells."""

from contracts.events import BlogWritten


def blog_written(attempt: int = 1) -> BlogWritten:
    return BlogWritten(run=1, attempt=attempt, title="On Bees", markdown="# On Bees\n\nThey fly.")
