"""The `pressroom` command: the verbs of a client, and one help for all verbs. Knows the wire; asks over it alone."""
