"""The verbs that `run` itself does, before there is anything installed to do them."""

import argparse
import sys


def do(chosen: argparse.Namespace, _: object) -> int:
    """Says who does it."""
    sys.stderr.write(f"`{chosen.verb}` is done by the script ./run itself.\n")
    return 2
