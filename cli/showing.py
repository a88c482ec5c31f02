"""`show`: one workflow whole, from the read tables."""

import argparse
import os
import sys
from typing import Any

from cli.address import find_address
from cli.failures import CannotBeDone
from cli.press import Press
from cli.results import draw_workflow, newest, workflow_in_words
from cli.terminal import is_screen, terminal
from cli.wording import harmless, pretty

Json = dict[str, Any]


def do(chosen: argparse.Namespace, _: object) -> int:
    """Shows one workflow. -> 0"""
    with Press(find_address(chosen.url, chosen.data, os.environ)) as press:
        workflow = press.get(f"/workflows/{chosen.id}", "workflow_id", "status")
    if chosen.json:
        sys.stdout.write(f"{pretty(workflow)}\n")
        return 0
    workflow = harmless(workflow)
    if chosen.markdown:
        sys.stdout.write(f"{markdown_of(workflow).rstrip()}\n")
    elif is_screen():
        draw_workflow(workflow, press.address, terminal())
    else:
        sys.stdout.write(workflow_in_words(workflow, press.address))
    return 0


def markdown_of(workflow: Json) -> str:
    """The blog post. Raises CannotBeDone where there is none."""
    posts = newest(workflow["blog_posts"])
    if not posts:
        raise CannotBeDone(
            f"This workflow has no blog post: it is {workflow['status']}. "
            f"`./run show {workflow['workflow_id']}` tells how its works went."
        )
    return posts[-1]["markdown"]
