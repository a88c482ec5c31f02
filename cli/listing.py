"""`list`: what workflows there are, a page at a time, from the read tables."""

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from cli.address import Address, find_address
from cli.press import Press
from cli.terminal import is_screen, terminal
from cli.wording import ago, cost_in_short, harmless, moment_of, one_line, pretty

TOPIC_ROOM_MIN = 24
"""Columns. Where there are fewer beside the others, the topic gets a line of its own."""

STATUS_STYLES = {"open": "cyan", "completed": "green", "failed": "red", "cancelled": "yellow"}

HEAD = ("WORKFLOW", "STATUS", "WHEN", "COST")

Json = dict[str, Any]


def do(chosen: argparse.Namespace, _: object) -> int:
    """Lists a page of workflows. -> 0"""
    with Press(find_address(chosen.url, chosen.data, os.environ)) as press:
        page = press.get(
            "/workflows",
            "items",
            "next",
            status=chosen.status,
            q=chosen.query,
            limit=chosen.limit,
            cursor=chosen.cursor,
        )
    if chosen.json:
        sys.stdout.write(f"{pretty(page)}\n")
        return 0
    items: list[Json] = harmless(page["items"])
    if is_screen():
        draw(items, press.address, is_filtered=bool(chosen.status or chosen.query or chosen.cursor))
    else:
        sys.stdout.writelines(f"{line_of(item)}\n" for item in items)
    if page["next"]:
        sys.stdout.flush()
        said = {"status": chosen.status, "query": chosen.query, "limit": chosen.limit, "cursor": harmless(page["next"])}
        sys.stderr.write(f"There are more: `{next_page('list', said, press.address)}`\n")
    return 0


def draw(items: list[Json], address: Address, *, is_filtered: bool) -> None:
    console = terminal()
    if not items:
        told = "No workflow fits." if is_filtered else "There are no workflows yet."
        console.print(f'{told} `./run create "The history of tea"{address.option}` makes one.', soft_wrap=True)
        return
    for line in lines_of(items, console.width, datetime.now(UTC)):
        console.print(line, no_wrap=True, overflow="ellipsis")


def lines_of(items: list[Json], width: int, now: datetime) -> Iterator[Text]:
    """A table for a terminal of this width."""
    rows = [HEAD, *(_cells(item, now) for item in items)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    is_wide = width - sum(widths) - 2 * len(widths) >= TOPIC_ROOM_MIN
    topics = ["TOPIC" if is_wide else "", *(one_line(item["topic"], 2 * width) for item in items)]
    for row, topic in zip(rows, topics, strict=True):
        line = Text(style="dim" if row is HEAD else "")
        for cell, room in zip(row, widths, strict=True):
            line.append(f"{cell:<{room}}  " if room else "", STATUS_STYLES.get(cell, ""))
        yield line.append(topic) if is_wide else line
        if topic and not is_wide:
            yield Text(f"  {topic}")


def _cells(item: Json, now: datetime) -> tuple[str, str, str, str]:
    requested = moment_of(item["requested_at"])
    when = ago(requested, now) if requested else ""
    return one_line(item["workflow_id"]), one_line(item["status"]), when, cost_in_short(item)


def line_of(item: Json) -> str:
    """For other programs: id, status, moment of the request, cost and topic, with tabs between."""
    parts = (
        item["workflow_id"],
        item["status"],
        item["requested_at"],
        cost_in_short(item),
        one_line(item["topic"]),
    )
    return "\t".join(parts)


def next_page(verb: str, said: Mapping[str, Any], address: Address) -> str:
    """The command that shows the page behind this one."""
    wishes = [f"--{name} {shlex.quote(str(value))}" for name, value in said.items() if value is not None]
    return f"./run {verb} {' '.join(wishes)}{address.option}"
