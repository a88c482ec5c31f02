"""`list` and `show`: what there is, and one workflow whole, from the read tables."""

import argparse
import os
import shlex
import sys
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.address import Address, find_address
from cli.failures import CannotBeDone
from cli.press import Press
from cli.results import draw_workflow, newest, workflow_in_words
from cli.screen import is_screen, terminal
from cli.wording import ago, harmless, moment_of, one_line, pretty

TOPIC_LINES_MAX = 2
STATUS_STYLES = {"open": "cyan", "completed": "green", "failed": "red", "cancelled": "yellow"}

Json = dict[str, Any]


def do(chosen: argparse.Namespace, _: object) -> int:
    """`list` or `show`. -> 0"""
    address = find_address(chosen.url, chosen.data, os.environ)
    with Press(address) as press:
        if chosen.verb == "list":
            show_list(press, chosen)
        else:
            show_one(press, chosen)
    return 0


# ---------------------------------------------------------------- list


def show_list(press: Press, chosen: argparse.Namespace) -> None:
    page = press.get("/workflows", status=chosen.status, q=chosen.query, limit=chosen.limit, cursor=chosen.cursor)
    if chosen.json:
        sys.stdout.write(f"{pretty(page)}\n")
        return
    items: list[Json] = harmless(page["items"])
    if is_screen():
        draw_list(items, press.address, is_filtered=bool(chosen.status or chosen.query or chosen.cursor))
    else:
        sys.stdout.writelines(f"{line_of(item)}\n" for item in items)
    if page["next"]:
        sys.stdout.flush()
        sys.stderr.write(f"There are more: `{next_page(chosen, harmless(page['next']), press.address)}`\n")


def draw_list(items: list[Json], address: Address, *, is_filtered: bool) -> None:
    console = terminal()
    if not items:
        told = "No workflow fits." if is_filtered else "There are no workflows yet."
        console.print(f'{told} `./run create "The history of tea"{address.option}` makes one.', soft_wrap=True)
        return
    has_cost = any(cost_of(item) for item in items)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    table.add_column("WORKFLOW", no_wrap=True)
    table.add_column("STATUS", no_wrap=True)
    table.add_column("WHEN", no_wrap=True)
    if has_cost:
        table.add_column("COST", justify="right", no_wrap=True)
    table.add_column("TOPIC", ratio=1)
    room = TOPIC_LINES_MAX * max(12, console.width - 36 - 9 - 11 - (8 if has_cost else 0) - 10)
    now = datetime.now(UTC)
    for item in items:
        requested = moment_of(item["requested_at"])
        table.add_row(
            Text(item["workflow_id"]),
            Text(item["status"], style=STATUS_STYLES.get(item["status"], "")),
            Text(ago(requested, now) if requested else ""),
            *([Text(cost_of(item))] if has_cost else []),
            Text(one_line(item["topic"], room)),
        )
    console.print(table)


def line_of(item: Json) -> str:
    """For other programs: id, status, moment of the request, cost and topic, with tabs between."""
    parts = (item["workflow_id"], item["status"], item["requested_at"], cost_of(item), one_line(item["topic"]))
    return "\t".join(parts)


def cost_of(item: Json) -> str:
    """As `$0.0123`, `≥ $0.0123` where not all of it is known; nothing where the list does not tell costs."""
    usage: Json = item.get("usage") or {}
    dollars, is_known = usage.get("cost_usd"), usage.get("cost_known", True)
    if dollars is None:
        return ""
    if is_known:
        return f"${dollars:.4f}"
    return f"≥ ${dollars:.4f}" if dollars else "unknown"


def next_page(chosen: argparse.Namespace, cursor: str, address: Address) -> str:
    """The command that shows the page behind this one."""
    said = (("--status", chosen.status), ("--query", chosen.query), ("--limit", chosen.limit), ("--cursor", cursor))
    wishes = [f"{name} {shlex.quote(str(value))}" for name, value in said if value is not None]
    return f"./run list {' '.join(wishes)}{address.option}"


# ---------------------------------------------------------------- show


def show_one(press: Press, chosen: argparse.Namespace) -> None:
    workflow = press.get(f"/workflows/{chosen.id}")
    if chosen.json:
        sys.stdout.write(f"{pretty(workflow)}\n")
        return
    workflow = harmless(workflow)
    if chosen.markdown:
        sys.stdout.write(f"{markdown_of(workflow).rstrip()}\n")
    elif is_screen():
        draw_workflow(workflow, press.address, terminal())
    else:
        sys.stdout.write(workflow_in_words(workflow, press.address))


def markdown_of(workflow: Json) -> str:
    """The blog post. Raises CannotBeDone where there is none."""
    posts = newest(workflow["blog_posts"])
    if not posts:
        raise CannotBeDone(
            f"This workflow has no blog post: it is {workflow['status']}. "
            f"`./run show {workflow['workflow_id']}` tells how its works went."
        )
    return posts[-1]["markdown"]
