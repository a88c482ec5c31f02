"""`parked`: what cannot go on until somebody acts, with its reason, a page at a time."""

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rich.padding import Padding
from rich.text import Text

from cli.address import find_address
from cli.listing import next_page
from cli.press import Press
from cli.terminal import is_screen, terminal
from cli.wording import ago, harmless, moment_of, name_of, one_line, pretty, sentence

KIND_STYLES = {"failed": "red", "held": "yellow"}
HEAD = ("WORKFLOW", "KIND", "SINCE")

HELD = "What is held waits for a version that can read its event; then `./run redrive`, or its start, lets it go."
"""What to do about held workflows."""

Json = dict[str, Any]


def do(chosen: argparse.Namespace, _: object) -> int:
    """Lists a page of parked workflows. -> 0"""
    with Press(find_address(chosen.url, chosen.data, os.environ)) as press:
        page = press.get("/parked", "items", "next", kind=chosen.kind, limit=chosen.limit, cursor=chosen.cursor)
    if chosen.json:
        sys.stdout.write(f"{pretty(page)}\n")
        return 0
    items: list[Json] = harmless(page["items"])
    option = press.address.option
    if is_screen():
        draw(items, option, is_filtered=bool(chosen.kind or chosen.cursor))
    else:
        sys.stdout.writelines(f"{line_of(item)}\n" for item in items)
    if page["next"]:
        sys.stdout.flush()
        said = {"kind": chosen.kind, "limit": chosen.limit, "cursor": harmless(page["next"])}
        sys.stderr.write(f"There are more: `{next_page('parked', said, press.address)}`\n")
    return 0


def draw(items: list[Json], option: str, *, is_filtered: bool) -> None:
    console = terminal()
    if not items:
        console.print("Nothing that fits is parked." if is_filtered else "Nothing is parked.")
        return
    for line in lines_of(items, datetime.now(UTC)):
        console.print(line)
    kinds = {item["kind"] for item in items}
    if "failed" in kinds:
        told = f"Once the cause is mended, `./run redrive ID{option}`, or `--all`, has what failed go on."
        console.print(told, soft_wrap=True)
    if "held" in kinds:
        console.print(HELD, soft_wrap=True)


def lines_of(items: list[Json], now: datetime) -> Iterator[Text | Padding]:
    """For a terminal: a line for each, and below it its topic and its reason, whole."""
    width = max(len(HEAD[0]), *(len(item["workflow_id"]) for item in items))
    yield Text(f"{HEAD[0]:<{width}}  {HEAD[1]:<6}  {HEAD[2]}", "dim")
    for item in items:
        since = moment_of(item["since"])
        line = Text(f"{one_line(item['workflow_id']):<{width}}  ")
        line.append(f"{one_line(item['kind']):<6}  ", KIND_STYLES.get(item["kind"], ""))
        yield line.append(ago(since, now) if since else "")
        for words in (item.get("topic"), reason_of(item)):
            if words:
                yield Padding(Text(one_line(words)), (0, 0, 0, 2), expand=False)


def line_of(item: Json) -> str:
    """For other programs: id, kind, since when, reason and topic, with tabs between."""
    topic = one_line(item.get("topic") or "")
    return "\t".join((item["workflow_id"], item["kind"], item["since"], reason_of(item), topic))


def reason_of(item: Json) -> str:
    """Why it cannot go on, in a sentence."""
    told = sentence(item["reason"]["message"])
    return f"{name_of(item['work'])}: {told}" if item.get("work") else told
