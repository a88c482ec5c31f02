"""`cancel` and `resume`: what may be decided about a workflow. Both are safe to repeat."""

import argparse
import os
import sys

from cli.address import find_address
from cli.press import Press
from cli.watching import Watch


def do(chosen: argparse.Namespace, _: object) -> int:
    """Cancels the workflow, or resumes it. -> 0 when that stands in the log; when it is watched, how it ended"""
    address = find_address(chosen.url, chosen.data, os.environ)
    with Press(address) as press:
        body = {"reason": chosen.reason} if chosen.reason else {}
        press.post(f"/workflows/{chosen.id}/{chosen.verb}", body)
    if chosen.verb == "resume" and chosen.watch:
        return Watch(address, chosen.id).run()
    option = address.option
    if chosen.verb == "cancel":
        sys.stdout.write(
            "The workflow is cancelled; what was made is kept. "
            f"`./run resume {chosen.id}{option}` makes what is missing.\n"
        )
    else:
        sys.stdout.write(f"The workflow goes on. `./run watch {chosen.id}{option}` shows it.\n")
    return 0
