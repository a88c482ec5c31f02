"""What may go wrong for a client, by name. Each message is a sentence that says why, and what to do."""


class CannotBeDone(Exception):
    """What was asked for cannot be done."""


class Misspoken(Exception):
    """The words, or a variable of the environment, make no sense."""
