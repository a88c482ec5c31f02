"""What a benchmark found beyond its bounds: told in sentences, and by the exit code. Not a benchmark."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

FOUND = 1
"""The exit code of a benchmark that found something beyond its bounds."""


def end(figures: Mapping[str, object], beyond: Sequence[str]) -> NoReturn:
    """Prints the figures as a line of JSON, then each sentence, and ends with 1 if there is one."""
    print(json.dumps(figures), flush=True)
    for sentence in beyond:
        print(sentence, file=sys.stderr)
    sys.exit(FOUND if beyond else 0)
