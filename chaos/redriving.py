"""Redriving, as an operator does it in the calm: what cannot go on by itself is listed, and one command has it go on.

Both lists and the command are written down as an operator's words, beside those of the clients.
"""

import asyncio
import json
import subprocess
from typing import Any, cast

import httpx2

from chaos.faults.front import client_of
from chaos.faults.model import QUOTA
from chaos.ground import Ground
from chaos.wire.proxy import until
from local.services import ROOT

OPERATOR, PARKED = "operator", "parked"
PAGE = 100
LISTED_WITHIN_S, REDRIVEN_WITHIN_S = 20.0, 60.0

Json = dict[str, Any]


async def park_one(ground: Ground) -> None:
    """Has one more workflow fail for want of quota: so there is something to redrive in every run."""
    await ground.standin.rule(do=QUOTA, when={"topic_contains": f"-{PARKED}:"}, times=1)
    ground.follow(client_of(ground, PARKED))


async def redrive_all(ground: Ground) -> None:
    """Lists what is parked, and runs `./run redrive --all`. Whoever waits to be resumed is told when it has ended."""
    await list_parked(ground, "before")
    process = await asyncio.create_subprocess_exec(
        *ground.command("redrive", "--all", "--reason", "the faults are over"),
        cwd=ROOT,
        env=ground.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(REDRIVEN_WITHIN_S):
            said, complained = await process.communicate()
    except TimeoutError:
        process.kill()
        said, complained = await process.communicate()
    told = {"said": said.decode(errors="replace"), "complained": complained.decode(errors="replace")}
    _write(ground, "redrive", "ok", status=process.returncode, data=told)
    ground.records.say(f"./run redrive --all ended with {process.returncode}: {last_words(told)}")
    ground.is_redriven.set()


def last_words(told: dict[str, str]) -> str:
    """What it said last."""
    return (told["said"].strip() or told["complained"].strip() or "nothing").splitlines()[-1][:120]


async def list_parked(ground: Ground, when: str) -> None:
    """All that is parked, of one state of the read tables."""
    found: list[Json] = []

    async def look() -> bool:
        pages = await pages_of(ground)
        found[:] = pages
        return bool(pages) and len({page["position"] for page in pages}) == 1

    if not await until(look, LISTED_WITHIN_S, every_s=0.3):
        _write(ground, "parked", "failed", data={"when": when})
        return
    items = [{name: item[name] for name in ("workflow_id", "kind")} for page in found for item in page["items"]]
    _write(ground, "parked", "ok", data={"when": when, "position": found[0]["position"], "items": items})


async def pages_of(ground: Ground) -> list[Json]:
    """Every page of the list; none where it is not given."""
    pages: list[Json] = []
    cursor: str | None = None
    while not pages or cursor is not None:
        try:
            answer = await ground.http.get("/parked", params={"limit": PAGE} | ({"cursor": cursor} if cursor else {}))
            page = cast(Json, json.loads(answer.content))
        except (httpx2.TransportError, ValueError):
            return []
        if answer.status_code != 200:
            return []
        pages.append(page)
        cursor = page["next"]
    return pages


def _write(ground: Ground, op: str, phase: str, **told: Any) -> None:
    ground.records.write("clients", client=OPERATOR, op=op, phase=phase, **told)
