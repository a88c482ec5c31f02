"""`redrive`: has parked workflows go on, one after the other, and tells of each. Safe to repeat."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from cli.address import find_address
from cli.parked import HELD
from cli.press import Press, Refused
from cli.wording import count, harmless, one_line

PAGE = 100
UNREADABLE = "history-unreadable"
HOPELESS = (503, 507)
"""Refusals that every other workflow would meet as well: nothing more is asked."""

Json = dict[str, Any]


def do(chosen: argparse.Namespace, _: object) -> int:
    """Redrives what was asked for. -> 0 when all of it goes on"""
    with Press(find_address(chosen.url, chosen.data, os.environ)) as press:
        held = list[str]()
        ids = chosen.ids
        if chosen.all:
            parked = [(item["kind"], one_line(item["workflow_id"])) for item in all_parked(press)]
            ids = [workflow_id for kind, workflow_id in parked if kind == "failed"]
            held = [workflow_id for kind, workflow_id in parked if kind != "failed"]
            if not parked:
                sys.stdout.write("Nothing is parked.\n")
                return 0
        redriven = redrive(press, list(dict.fromkeys(ids)), {"reason": chosen.reason} if chosen.reason else {})
    for workflow_id in held:
        complain(f"{workflow_id} is held. {HELD}")
    return 0 if redriven and not held else 1


def all_parked(press: Press) -> Iterator[Json]:
    """Everything that is parked, whatever the number of pages."""
    cursor = None
    while True:
        page = press.get("/parked", "items", "next", limit=PAGE, cursor=cursor)
        yield from harmless(page["items"])
        cursor = page["next"]
        if cursor is None:
            return


def redrive(press: Press, ids: Sequence[str], body: Json) -> bool:
    """Resumes each of them, and tells how far it is. -> Do all of them go on?

    Raises CannotBeDone where nothing more can be done at the moment.
    """
    refused = 0
    for number, workflow_id in enumerate(ids, 1):
        try:
            press.post(f"/workflows/{workflow_id}/resume", body)
        except Refused as wrong:
            if wrong.status in HOPELESS:
                raise
            refused += 1
            complain(f"{workflow_id} does not go on. {wrong}{f' {HELD}' if wrong.code == UNREADABLE else ''}")
        else:
            sys.stdout.write(f"{workflow_id} goes on ({number:,} of {len(ids):,})\n")
            sys.stdout.flush()
    if len(ids) > 1:
        told = count(len(ids) - refused, "workflow goes", "workflows go")
        sys.stdout.write(f"{told} on, of {len(ids):,}. `./run list --status open{press.address.option}` shows them.\n")
    return not refused


def complain(told: str) -> None:
    sys.stderr.write(f"{told}\n")
    sys.stderr.flush()
