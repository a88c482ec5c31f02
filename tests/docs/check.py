"""Style and types of the worked examples, as `./run checks` asks them of all other code: python -m tests.docs.check"""

import subprocess
import sys
from pathlib import Path

from local.servers import temporary_folder
from tests.docs.example import copy_with

EXAMPLES = ("changing-an-event.md", "adding-a-stage.md")
"""The documents, in the order in which a reader follows them."""


def main() -> None:
    """Exit code 0 where the code is what it has to be; 1 where it is not, with the words of ruff and pyright."""
    tools = Path(sys.executable).parent
    with temporary_folder() as folder:
        copy = copy_with(folder, EXAMPLES)
        steps = (
            (tools / "ruff", "check", *copy.changed_python),
            (tools / "ruff", "format", "--check", *copy.changed_python),
            (tools / "pyright", "--pythonpath", sys.executable, *copy.changed_python),
        )
        ended = [subprocess.run([*map(str, step)], cwd=folder, check=False).returncode for step in steps]
    sys.exit(any(ended))


if __name__ == "__main__":
    main()
