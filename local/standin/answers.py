"""What the model answers to a job: its text, what it found on the web, or why it will not answer."""

from dataclasses import dataclass, replace

from .faults import Do
from .jobs import Job
from .searches import search
from .texts import Author, clip, plain


@dataclass(frozen=True)
class Citation:
    """A link in the text, at characters `start` up to, not including, `end`."""

    start: int
    end: int
    url: str
    title: str


@dataclass(frozen=True)
class Answer:
    text: str = ""
    query: str | None = None  # set when the web was searched
    found: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()
    refusal: str | None = None
    filtered: bool = False


def answer_to(job: Job, fault: Do, base_url: str) -> Answer:
    if fault.refuse:
        return Answer(refusal="I'm sorry, but I can't help with that request.")
    if job.kind == "research":
        answer = nothing_found(job) if fault.no_results else notes(job, base_url)
    else:
        answer = Answer(Author(job).write())
    if fault.content_filter:
        return replace(answer, text=answer.text[: len(answer.text) // 2], citations=(), filtered=True)
    text = text_instead(fault)
    return answer if text is None else replace(answer, text=text, citations=())


def text_instead(fault: Do) -> str | None:
    if fault.huge_mb:
        sentence = "This sample sentence is here to fill a very long answer. "
        return sentence * (fault.huge_mb * 1_000_000 // len(sentence) + 1)
    return "" if fault.empty else fault.text


def notes(job: Job, base_url: str) -> Answer:
    """One sentence from each page that was found, each followed by its link."""
    text, citations, found = "", list[Citation](), list[str]()
    for page in search(job.topic):
        url = page.address(base_url)
        text += f"{page.paragraphs[0]} "
        start, text = len(text), f"{text}([{page.title}]({url}))"
        citations.append(Citation(start, len(text), url, page.title))
        found.append(url)
        text += "\n\n"
    text += Author(job).notice("research note")
    return Answer(text, query_of(job), tuple(found), tuple(citations))


def nothing_found(job: Job) -> Answer:
    text = f"The search found no pages about “{query_of(job)}”. {Author(job).notice('research note')}"
    return Answer(text, query_of(job))


def query_of(job: Job) -> str:
    return clip(plain(job.topic), 120) or "this topic"
