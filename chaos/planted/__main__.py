"""Runs a service with a planted bug: python -m chaos.planted BUG services.writer …

Any service may be run so; only those have the bug whose it is.
"""

import runpy
import sys

from chaos.planted import BUGS
from chaos.planted.bug import Patch


def main() -> None:
    """Exit code 2 where there is no such bug; else that of the service."""
    if len(sys.argv) < 3 or sys.argv[1] not in BUGS:
        sys.exit(f"Say which bug, and which service. There are: {', '.join(BUGS)}.")
    bug, module = BUGS[sys.argv[1]], sys.argv[2]
    sys.argv[:] = [module, *sys.argv[3:]]
    if module.rpartition(".")[2] in bug.services:
        bug.plant(Patch())
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
