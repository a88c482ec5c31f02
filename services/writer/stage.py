"""Writer: the blog post when its inputs are there, then one post for each platform that was asked for."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from chassis.model import MODEL_VERDICTS, AnswerMalformed, Model, Say, Written, total
from chassis.prompts import as_data, blog_brief_lines, brief_lines, load_prompt, source_block
from chassis.settings import Settings
from chassis.stage import Attempt, Stage, WorkFailed
from contracts.commands import RecordBlog, RecordSocialPost
from contracts.events import BlogWritten, Source, Usage
from contracts.platforms import Platform
from contracts.services import WRITER
from contracts.works import Kind
from services.writer.citations import cited_numbers, keep_known, source_list, without_marks
from services.writer.platforms import RULES, cut, measure, overrun

BLOG, BLOG_AGAIN = load_prompt(__file__, "blog"), load_prompt(__file__, "blog_again")
SOCIAL, SOCIAL_AGAIN = load_prompt(__file__, "social"), load_prompt(__file__, "social_again")

TITLE_LENGTH_MAX = 300


class Author(Protocol):
    """Writes texts. Raises WorkFailed."""

    async def write(self, *, instructions: str, input: str, say: Say | None = None) -> Written:
        """A text as instructed about this input."""
        ...


@dataclass(frozen=True)
class Tools:
    """What the writer works with."""

    author: Author


stage = Stage[Tools](WRITER, verdicts=MODEL_VERDICTS)


@stage.does(Kind.BLOG)
async def write_blog(attempt: Attempt, tools: Tools) -> RecordBlog:
    """Writes the blog post. It cites only sources that it was given: one rewrite, then unknown marks are taken out."""
    research = attempt.state.research
    sources = research.sources if research else ()
    parts = [blog_brief_lines(attempt.state.asked), source_block(sources)]
    if research and sources:
        parts.append(as_data("notes", research.notes))
    text, usage = await _write_citing_known(tools.author, "\n".join(filter(None, parts)), sources, attempt.say)
    title = _title(text)
    if not title:
        raise AnswerMalformed("The model wrote no title.", usage=usage)
    cited = cited_numbers(text)
    markdown = "\n\n".join(filter(None, (text, source_list(sources, cited))))
    return RecordBlog(run=attempt.run, attempt=attempt.number, title=title, markdown=markdown, cited=cited, usage=usage)


@stage.does(Kind.SOCIAL)
async def write_social_post(attempt: Attempt, tools: Tools) -> RecordSocialPost:
    """Writes one post. Too long by the platform's own measure: one rewrite that is told by how much, then a cut."""
    platform, blog = attempt.work.platform, attempt.state.blog
    if blog is None:
        raise AnswerMalformed("There is no blog post to write about.")
    rules = RULES[platform]
    instructions = SOCIAL.substitute(platform=rules.name, style=rules.style, limit=f"{rules.limit:,}")
    text, usage = await _write_fitting(tools.author, instructions, _about(attempt, blog), platform, attempt.say)
    if not text:
        raise AnswerMalformed("The model wrote an empty post.", usage=usage)
    return RecordSocialPost(
        run=attempt.run,
        attempt=attempt.number,
        platform=platform,
        text=text,
        length=measure(platform, text),
        usage=usage,
    )


def make_tools(settings: Settings) -> Tools:
    """The tools that these settings name."""
    return Tools(Model(settings))


async def _write_citing_known(author: Author, input: str, sources: tuple[Source, ...], say: Say) -> tuple[str, Usage]:
    """A post whose marks all name given sources, and what it used."""
    written = await author.write(instructions=BLOG.template, input=input, say=say)
    known = [source.number for source in sources]
    unknown = [number for number in cited_numbers(written.text) if number not in known]
    if not unknown:
        return keep_known(written.text, sources), written.usage
    told = {"unknown": _listed(unknown), "known": _listed(known) or "none"}
    again = await _again(author, BLOG_AGAIN.substitute(instructions=BLOG.template, **told), input, written)
    return keep_known(again.text, sources), again.usage


async def _write_fitting(
    author: Author, instructions: str, input: str, platform: Platform, say: Say
) -> tuple[str, Usage]:
    """A post that fits its platform, and what it used."""
    written = await author.write(instructions=instructions, input=input, say=say)
    text, usage = _plain(written.text), written.usage
    if complaint := await asyncio.to_thread(overrun, platform, text):  # a hostile text takes seconds to count
        stricter = SOCIAL_AGAIN.substitute(instructions=instructions, draft=text, complaint=complaint)
        again = await _again(author, stricter, input, written)
        text, usage = _plain(again.text), again.usage
    return (await asyncio.to_thread(cut, platform, text)).strip(), usage


async def _again(author: Author, instructions: str, input: str, first: Written) -> Written:
    """A second draft, and what both used. Where the model does not write one, the first has to do: it was paid for."""
    try:
        second = await author.write(instructions=instructions, input=input)
    except WorkFailed as failed:
        return Written(first.text, total(first.usage, failed.usage) if failed.usage else first.usage)
    return Written(second.text, total(first.usage, second.usage))


def _about(attempt: Attempt, blog: BlogWritten) -> str:
    post, _, _ = blog.markdown.partition("\n\n## Sources\n")
    return f"{brief_lines(attempt.state.asked)}\n{as_data('blog-post', without_marks(post))}"


def _plain(text: str) -> str:
    """A post without marks, as people paste it; the model sometimes puts it in quotation marks."""
    plain = without_marks(text).strip()
    is_quoted = len(plain) > 1 and plain[0] == plain[-1] == '"' and plain.count('"') == 2
    return plain[1:-1].strip() if is_quoted else plain


def _title(text: str) -> str:
    """The first heading, or else the first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    heading = next((line for line in lines if line.startswith("# ")), lines[0] if lines else "")
    return without_marks(heading.lstrip("# ")).strip("*_ ")[:TITLE_LENGTH_MAX]


def _listed(numbers: list[int]) -> str:
    return ", ".join(f"[{number}]" for number in numbers)
