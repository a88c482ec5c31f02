"""What the stand-in model writes: short texts that speak about the topic and say that they are samples."""

import random
import re
import tomllib
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from .jobs import Job

PHRASES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("phrases.toml").read_text("utf-8"))
SMALL_WORDS = {
    "a",
    "an",
    "and",
    "as",
    "at",
    "but",
    "by",
    "for",
    "from",
    "in",
    "of",
    "on",
    "or",
    "the",
    "to",
    "vs",
    "with",
}
STOP_WORDS = {
    "about",
    "and",
    "are",
    "for",
    "from",
    "how",
    "the",
    "that",
    "their",
    "this",
    "what",
    "when",
    "why",
    "with",
}


WORDS_MAX = 5_000  # what Pressroom asks for at most


@dataclass(frozen=True)
class Section:
    heading: str
    body: str

    @property
    def words(self) -> int:
        return len(self.heading.split()) + len(self.body.split()) + 1  # the mark of the heading


class Author:
    """Writes about one job; the same topic always gives the same choice of phrases."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.chance = random.Random(job.topic)  # noqa: S311 (a choice of phrases, not a secret)
        self.topic = plain(job.topic) or "a topic without a name"
        self.words = words_of(self.topic)

    def write(self) -> str:
        match self.job.kind:
            case "blog":
                return self.blog()
            case "social":
                return self.social()
            case "scene":
                setting = f"{self.one_of('views')}, in {self.one_of('colours')}"
                return f"{self.say('{it}')}, {setting}. {self.notice('scene')}"
            case _:
                return f"{self.say('This short answer is about {it}.')} {self.notice('answer')}"

    def blog(self) -> str:
        title = title_case(self.say(self.one_of("titles"), topic_length_max=70))
        parts = [f"# {title}", f"*{self.notice('text', self.job.length)}*", self.say(self.one_of("openings"))]
        cited = [self.cite(place) for place in range(len(self.job.sources))]
        sections = self.sections(words_so_far=len(" ".join([*parts, *cited]).split()))
        for place, section in enumerate(sections):
            # Sources are dealt out like cards, so that each is cited once.
            parts += [f"## {section.heading}", " ".join([section.body, *cited[place :: len(sections)]])]
        return "\n\n".join(parts) + "\n"

    def sections(self, words_so_far: int) -> list["Section"]:
        """Four to six of the sections there are; where a length is asked for, as many as come closest to it."""
        told = [Section(self.say(section["heading"]), self.say(section["body"])) for section in PHRASES["sections"]]
        if self.job.words is None:
            chosen = sorted(self.chance.sample(range(len(told)), self.chance.randint(4, 6)))
            return [told[place] for place in chosen]
        wanted, sections = min(self.job.words, WORDS_MAX) - words_so_far, list[Section]()
        while wanted > told[len(sections) % len(told)].words // 2:
            part, place = divmod(len(sections), len(told))
            heading = f"{told[place].heading}, part {part + 1}" if part else told[place].heading
            sections.append(Section(heading, told[place].body))
            wanted -= sections[-1].words
        return sections

    def cite(self, place: int) -> str:
        source = self.job.sources[place]
        title = clip(plain(source.title), 90) or "the source"
        return self.one_of("cited").format(title=title, number=source.number)

    def social(self) -> str:
        hook, advice = self.one_of("hooks"), self.chance.sample(PHRASES["advice"], 3)
        tags, notice = " ".join("#" + capital(word) for word in self.words[:3]), self.notice("post")
        short_notice = f"(A sample by Pressroom's stand-in model{self.asked('; ', 12)}.)"
        match (self.job.platform or "").casefold():
            case "x" | "twitter" | "bluesky":  # 280 and 300 at most, and X counts wide characters twice
                return f"{self.say(hook, topic_length_max=40)} {short_notice}"
            case "threads":  # 500 at most, and an emoji counts its bytes
                return f"{self.say(hook, topic_length_max=40)}\n\n{short_notice}"
            case "mastodon":  # 500 at most
                return f"{self.say(hook, topic_length_max=40)}\n\n{self.say(advice[0])}\n\n{short_notice} {tags}"
            case "instagram":
                return f"{self.say(hook)} ✨\n\n{self.say(advice[0])}\n\n{notice}\n\n{tags} #Sample"
            case "linkedin":
                return "\n\n".join([*map(self.say, (hook, *advice)), f"{notice} {tags}"])
            case _:
                return "\n\n".join([*map(self.say, (hook, advice[0])), notice])

    def notice(self, what: str, length: str | None = None) -> str:
        """Says that this is a sample, and how it was asked to be, which the stand-in hears but cannot do."""
        asked = self.asked("", 60, length)
        return (
            f"This is a sample {what}, written by Pressroom's stand-in model and not by a real one"
            f"{f' (asked for {asked})' if asked else ''}."
        )

    def asked(self, before: str, length_max: int, length: str | None = None) -> str:
        """The brief in a few words, as `tone: playful; language: German`; an empty text where there is none."""
        job = self.job
        told = {"tone": job.tone, "audience": job.audience, "language": job.language, "length": length}
        words = "; ".join(f"{name}: {clip(plain(value), length_max)}" for name, value in told.items() if value)
        return before + words if words else ""

    def say(self, phrase: str, topic_length_max: int = 80) -> str:
        word, other, *_ = [*sorted(self.words, key=len, reverse=True), "everything around it"]
        said = phrase.format(it=clip(self.topic, topic_length_max), word=word, other=other)
        return capital(said.replace("….", "…"))

    def one_of(self, pool: str) -> str:
        return self.chance.choice(PHRASES[pool])


def plain(text: str) -> str:
    """One line; and nothing in it that would read as a citation or a hashtag of ours."""
    text = " ".join(text.split()).translate(str.maketrans("[]", "()"))
    return re.sub(r"(?<!\w)[#＃]+(?=\w)", "", text).rstrip(" .?!…")


def words_of(topic: str) -> list[str]:
    """The words that carry the topic, each once; the topic itself when it has none."""
    # Marks (category M) belong to a word: without them Hindi or Thai would fall to pieces.
    letters = (sign if sign.isalnum() or unicodedata.category(sign)[0] == "M" else " " for sign in topic)
    words = [word for word in "".join(letters).split() if len(word) > 2 and word.casefold() not in STOP_WORDS]
    return [clip(word, 30) for word in dict.fromkeys(words)] or [clip(topic, 30)]


def clip(text: str, length_max: int) -> str:
    """Cut at a word; inside it only when it is the first and too long by itself."""
    if len(text) <= length_max:
        return text
    return (text[:length_max].rpartition(" ")[0] or text[: length_max - 1]).rstrip(" ,;:-") + "…"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def title_case(text: str) -> str:
    """Small words stay small; a word with a capital or a digit (NATS, iPhone, 5G) is left as it is."""

    def cased(before: str, word: str) -> str:
        opens = not before or before.endswith(":")
        ordinary = word.islower() and not re.search(r"\d", word)
        return capital(word) if ordinary and (opens or word not in SMALL_WORDS) else word

    return " ".join(cased(before, word) for before, word in pairwise(["", *text.split(" ")]))
