"""What a workflow made, shown to people: drawn in a terminal, or as Markdown where no terminal is.

The workflow is what `GET /workflows/{id}` answers with, made harmless.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.markdown import Markdown
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from cli.address import Address
from cli.wording import (
    clock,
    cost,
    cost_in_short,
    count,
    lasted,
    moment_of,
    name_of,
    one_line,
    platform_name,
    sentence,
    size,
    used,
)

Json = dict[str, Any]
Workflow = Mapping[str, Any]


# ---------------------------------------------------------------- in a terminal


def draw_results(workflow: Workflow, address: Address, console: Console) -> None:
    """The post, the posts for platforms, the sources, the picture and the cost."""
    for part in _drawn(workflow, address):
        console.print(part, soft_wrap=isinstance(part, Text) and part.no_wrap is True)


def draw_workflow(workflow: Workflow, address: Address, console: Console) -> None:
    """All of a workflow: how it stands, how its works went, and what it made."""
    console.print(Text(one_line(workflow["topic"]), style="bold"))
    for line in _standing(workflow):
        console.print(Text(line))
    console.print()
    table = Table.grid(padding=(0, 2))
    for work, words in _works(workflow):
        table.add_row(Text(work), Text(words))
    console.print(table)
    draw_results(workflow, address, console)


def _drawn(workflow: Workflow, address: Address) -> Iterator[RenderableType]:
    for post in newest(workflow.get("blog_posts")):
        yield ""
        yield Rule(style="dim")
        yield Markdown(post["markdown"], hyperlinks=False)
    for post in newest(workflow.get("social_media_posts")):
        yield ""
        yield Panel(
            Text(post["text"]),
            title=Text(f"{platform_name(post['platform'])} post"),
            subtitle=Text(count(post["length"], "character")),
            title_align="left",
            subtitle_align="right",
        )
    if sources := newest(workflow.get("sources")):
        yield ""
        yield Text("Sources found", style="bold")
        for source in sources:
            yield Text(f"{source['number']:>3}. {one_line(source['title'])}")
            yield unbroken(f"     {one_line(source['url'])}", style="cyan")
    for image in newest(workflow.get("images")):
        yield ""
        yield Text("Picture", style="bold").append(f"  {_measures(image)}", style="dim")
        yield Text(one_line(image["alt_text"]))
        yield unbroken(picture_address(image, address), style="cyan")
    yield ""
    yield Text(cost(workflow))
    yield Text(used(workflow.get("usage") or {}), style="dim")
    for line in _again(workflow, address):
        yield unbroken(line, style="dim")


def unbroken(line: str, style: str) -> Text:
    """A line that only the terminal itself breaks, so that it can be copied in one piece."""
    return Text(line, style=style, no_wrap=True)


# ---------------------------------------------------------------- where no terminal is


def results_in_words(workflow: Workflow, address: Address) -> str:
    """The same as Markdown, the post as it was written."""
    return "\n".join([*_lines(workflow, address), ""])


def workflow_in_words(workflow: Workflow, address: Address) -> str:
    """All of a workflow as text."""
    works = [f"{work}: {words}" for work, words in _works(workflow)]
    return "\n".join([one_line(workflow["topic"]), *_standing(workflow), *works, "", *_lines(workflow, address), ""])


def _lines(workflow: Workflow, address: Address) -> Iterator[str]:
    for post in newest(workflow.get("blog_posts")):
        yield from (post["markdown"].rstrip(), "")
    for post in newest(workflow.get("social_media_posts")):
        platform, length = platform_name(post["platform"]), count(post["length"], "character")
        yield from (f"## {platform} post ({length})", "", post["text"].rstrip(), "")
    if sources := newest(workflow.get("sources")):
        yield from ("## Sources found", "")
        for source in sources:
            yield f"{source['number']}. {one_line(source['title'])} {one_line(source['url'])}"
        yield ""
    for image in newest(workflow.get("images")):
        yield from (f"## Picture ({_measures(image)})", "", one_line(image["alt_text"]))
        yield from (picture_address(image, address), "")
    yield cost(workflow)
    yield used(workflow.get("usage") or {})
    yield from _again(workflow, address)


# ---------------------------------------------------------------- what they share


def newest(things: Sequence[Json] | None) -> list[Json]:
    """Of each thing its latest edition, in the order in which they were told."""
    latest: dict[Any, int] = {}
    for thing in things or ():
        latest[_role(thing)] = max(latest.get(_role(thing), 0), thing.get("edition") or 0)
    return [thing for thing in things or () if (thing.get("edition") or 0) == latest[_role(thing)]]


def _role(thing: Json) -> Any:
    """What another edition of this would stand for. Sources are replaced all at once."""
    return thing.get("platform")


def picture_address(image: Json, address: Address) -> str:
    """Where a browser finds the picture."""
    return f"{address.shown}/{one_line(image['picture']).lstrip('/')}"


def _measures(image: Json) -> str:
    kind = one_line(image["content_type"]).rpartition("/")[2].upper()
    return f"{image['width']} × {image['height']}, {kind}, {size(image['bytes'])}"


def _again(workflow: Workflow, address: Address) -> Iterator[str]:
    """How to see it again. The workflow's id is in it."""
    command = f"./run show {workflow['workflow_id']}{address.option}"
    yield f"again: {command}"
    if workflow.get("blog_posts"):
        yield f"post:  {command} --markdown"


def _standing(workflow: Workflow) -> Iterator[str]:
    """How the workflow stands, and why."""
    run = f", run {workflow['run']}" if workflow["run"] > 1 else ""
    since = moment_of(workflow["requested_at"])
    until = moment_of(workflow.get("closed_at"))
    requested = f", requested {since.astimezone():%Y-%m-%d %H:%M:%S}" if since else ""
    took = f", closed after {lasted(until - since)}" if since and until else ""
    yield f"{workflow['status']}{run}{requested}{took}"
    if error := workflow.get("error"):
        yield f"Why: {name_of(error['work'])}: {sentence(error['message'])}"
    if reason := workflow.get("reason"):
        yield f"{'Cancelled' if workflow['status'] == 'cancelled' else 'Resumed'}: {sentence(reason)}"
    brief: Json = workflow.get("brief") or {}
    wishes = [f"{name} {one_line(wish)}" for name, wish in brief.items() if wish]
    if wishes:
        yield f"Brief: {', '.join(wishes)}"
    if held := workflow.get("held"):
        yield f"This may be old: its later events are held back. {sentence(held['error'])}"


def _works(workflow: Workflow) -> Iterator[tuple[str, str]]:
    """Each work, how it stands, and its last attempt's failure."""
    for work in workflow.get("works") or ():
        attempts: list[Json] = work.get("attempts") or []
        words = work["status"]
        if len(attempts) > 1:
            words += f", {len(attempts)} attempts"
        if told := cost_in_short(work.get("usage")):
            words += f", cost {told}"
        last = attempts[-1] if attempts else {}
        if work["status"] != "made" and (error := last.get("error")):
            words += f": {sentence(error['message'])}"
        if work["status"] == "retrying" and (retry_at := moment_of(last.get("retry_at"))):
            words += f" It is tried again at {clock(retry_at)}."
        yield name_of(work["work"]), words
