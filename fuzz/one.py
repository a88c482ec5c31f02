"""One target under atheris, in a process of its own: python -m fuzz.one TARGET CORPUS -max_total_time=10 …

What stands behind the corpus goes to libFuzzer (https://llvm.org/docs/LibFuzzer.html). With a file in the place of the
corpus that one input is tried again, without atheris.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

WATCHED = ("contracts", "chassis", "services", "json")
"""Whose branches guide the making of inputs."""


def main() -> None:
    """Ends with what libFuzzer says."""
    name, corpus, *options = sys.argv[1:]
    if Path(corpus).is_file():
        attempt_of(name)(Path(corpus).read_bytes())
        print(f"{corpus} breaks nothing.")
        return
    atheris: Any = import_module("atheris")  # only this process needs it to be installed
    with atheris.instrument_imports(include=[*WATCHED]):
        attempt = attempt_of(name)
    atheris.Setup([sys.argv[0], *options, corpus], attempt)
    atheris.Fuzz()


def attempt_of(name: str) -> Any:
    """The target's function."""
    return import_module("fuzz.targets").TARGETS[name].attempt


if __name__ == "__main__":
    main()
