"""`redrive`: has parked workflows go on, one after the other, and tells of each. Safe to repeat.

What failed is resumed. What is held is folded again: then the read tables show it, if its events can be read now.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from cli.address import find_address
from cli.parked import HELD
from cli.press import Press, Refused
from cli.wording import count, harmless, one_line, sentence

PAGE = 100
HOPELESS = (503, 507)
"""Refusals that every other workflow would meet as well: nothing more is asked."""

Json = dict[str, Any]


def do(chosen: argparse.Namespace, _: object) -> int:
    """Redrives what was asked for. -> 0 when all of it goes on"""
    with Press(find_address(chosen.url, chosen.data, os.environ)) as press:
        failed, held = chosen.ids, list[str]()
        if chosen.all:
            parked = [(item["kind"], one_line(item["workflow_id"])) for item in all_parked(press)]
            failed = [workflow_id for kind, workflow_id in parked if kind == "failed"]
            held = [workflow_id for kind, workflow_id in parked if kind != "failed"]
            if not parked:
                sys.stdout.write("Nothing is parked.\n")
                return 0
        redriven = redrive(press, list(dict.fromkeys(failed)), {"reason": chosen.reason} if chosen.reason else {})
        folded = [refold(press, workflow_id) for workflow_id in held]
    return 0 if redriven and all(folded) else 1


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
            refused += not refold(press, workflow_id, wrong)
        else:
            sys.stdout.write(f"{workflow_id} goes on ({number:,} of {len(ids):,})\n")
            sys.stdout.flush()
    if len(ids) > 1:
        told = count(len(ids) - refused, "workflow goes", "workflows go")
        sys.stdout.write(f"{told} on, of {len(ids):,}. `./run list --status open{press.address.option}` shows them.\n")
    return not refused


def refold(press: Press, workflow_id: str, refusal: Refused | None = None) -> bool:
    """Has one that is held folded again, and tells what came of it. -> Is it held no more?

    `refusal`: why it cannot be resumed, which is all that there is to say of one that nobody holds.
    """
    try:
        told = harmless(press.post(f"/workflows/{workflow_id}/refold", {}))
    except Refused as wrong:
        complain(f"{workflow_id} does not go on. {refusal or wrong}")
        return False
    match told.get("outcome"):
        case "held":
            complain(f"{workflow_id} is held still: {sentence(str(told.get('why')))} {HELD}")
        case "folded" | "not-held" if refusal is None or told["outcome"] == "folded":
            sys.stdout.write(f"{workflow_id} is held no more\n")
            sys.stdout.flush()
            return True
        case _:
            complain(f"{workflow_id} does not go on. {refusal}")
    return False


def complain(told: str) -> None:
    sys.stderr.write(f"{told}\n")
    sys.stderr.flush()
