"""`GET /workflows?q=`: every word of the question begins a word of topic or title, whatever stands between them."""

import random
from urllib.parse import quote

import pytest

from services.gateway import statements
from services.gateway.library import WORDS_MAX, search_query
from tests.services.gateway.newsroom import Newsroom
from tests.services.gateway.read_tables import ReadTables

ODD = "aB1_ '\"\\&|!()<>:*-.,/@%#\x00\n\u00e9\u4e9c\u2014\u201c\ufffd\U0001f41d"
"""What means something to Postgres, to a URL, or to nobody."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def found(room: Newsroom, words: str, more: str = "") -> list[str]:
    """The topics that are found."""
    answer = await room.http.get(f"/workflows?q={quote(words)}{more}")
    assert answer.status_code == 200, answer.text
    return [item["topic"] for item in answer.json()["items"]]


async def finds(room: Newsroom, tables: ReadTables, topic: str, words: str) -> bool:
    """Is a workflow with this topic found by these words?"""
    await tables.add_workflow(topic=topic)
    return await found(room, words) == [topic]


class TestWords:
    @pytest.mark.parametrize(
        ("topic", "words"),
        [
            ("The history of tea", "tea"),
            ("The history of tea", "TEA"),
            ("The history of tea", "tea hist"),
            ("The history of tea", "h o t"),
            ("Teapots", "tea"),
            ("C++ for tea lovers", 'C++ & "tea":*'),
            ("What it's like", "it's"),
            ("Tea-time in Leeds", "tea-time"),
            ("Tea-time in Leeds", "time tea"),
            ("News of Python 3.11", "python 3.11"),
            ("News of Python 3.11", "python 3."),
            ("Why node.js won", "node.js?"),
            ("snake_case is fine", "snake_case"),
            ("Ärzte und Öl", "ärzte öl"),
            ("ÄRZTE UND ÖL", "ärzte öl"),
            ("The history of “tea”", "tea"),
            ("«Tea»—history…of", "tea history of"),
            ("東京の歴史", "東京"),
        ],
    )
    async def test_each_word_begins_a_word(
        self, reading_room: Newsroom, tables: ReadTables, topic: str, words: str
    ) -> None:
        assert await finds(reading_room, tables, topic, words)

    @pytest.mark.parametrize(
        ("topic", "words"),
        [
            ("The history of tea", "tea coffee"),
            ("The history of tea", "ea"),
            ("The history of tea", "teapot"),
            ("The history of tea", "tea | coffee"),
            ("The history of tea", "!coffee"),
            ("News of Python 3.11", "python 3.12"),
        ],
    )
    async def test_one_word_that_is_missing_finds_nothing(
        self, reading_room: Newsroom, tables: ReadTables, topic: str, words: str
    ) -> None:
        assert not await finds(reading_room, tables, topic, words)

    @pytest.mark.parametrize(
        "words",
        [" ", "&", "'", "\\", "''", "':*", "()", "!", "<->", "\x00", "&|!()<>:*'\"\\", "—", "💥", "\ufffd", "_"],
    )
    async def test_question_without_a_word_finds_nothing(
        self, reading_room: Newsroom, tables: ReadTables, words: str
    ) -> None:
        assert not await finds(reading_room, tables, "The history of tea", words)

    @pytest.mark.parametrize("words", ["tea\x00pot's", "tea\\", "'tea", "a.b:c@d/e", "x" * 200, "é" * 200, "a'b " * 50])
    async def test_odd_question_is_answered(self, reading_room: Newsroom, tables: ReadTables, words: str) -> None:
        assert await found(reading_room, words) == []

    async def test_whatever_is_typed_is_answered(self, reading_room: Newsroom, tables: ReadTables) -> None:
        chance = random.Random(7)
        for _ in range(300):
            await found(reading_room, "".join(chance.choices(ODD, k=chance.randint(1, 40))))

    async def test_title_is_searched_as_well(self, reading_room: Newsroom, tables: ReadTables) -> None:
        await tables.add_workflow(topic="bees", title="How Tea Travelled")
        assert await found(reading_room, "travel bees") == ["bees"]

    async def test_words_count_up_to_a_limit(self) -> None:
        question = search_query(" ".join(f"w{number}" for number in range(100)))
        assert question.count("&") == WORDS_MAX - 1

    @pytest.mark.parametrize("words", ["", "x" * 201])
    async def test_question_out_of_bounds_is_refused(
        self, reading_room: Newsroom, tables: ReadTables, words: str
    ) -> None:
        answer = await reading_room.http.get(f"/workflows?q={words}")
        assert answer.status_code == 422 and answer.json()["detail"].startswith("q: ")


class TestOrder:
    async def test_newest_match_is_first(self, reading_room: Newsroom, tables: ReadTables) -> None:
        for topic in ("tea one", "coffee", "tea two"):
            await tables.add_workflow(topic=topic)
        assert await found(reading_room, "tea") == ["tea two", "tea one"]

    async def test_status_and_words_hold_at_once(self, reading_room: Newsroom, tables: ReadTables) -> None:
        await tables.add_workflow(topic="tea one", status="open")
        await tables.add_workflow(topic="tea two", status="failed")
        await tables.add_workflow(topic="coffee", status="failed")
        assert await found(reading_room, "tea", "&status=failed") == ["tea two"]

    async def test_matches_behind_the_newest_are_found(
        self, reading_room: Newsroom, tables: ReadTables, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With as few rows as a test has, the walk over the newest is made to end early."""
        walk = f"LIMIT {statements.WALKED}"
        assert walk in statements.WORKFLOWS_WITH_WORDS
        short = statements.WORKFLOWS_WITH_WORDS.replace(walk, "LIMIT 2")
        monkeypatch.setattr(statements, "WORKFLOWS_WITH_WORDS", short)
        topics = ["tea 1", "tea 2", "milk 1", "tea 3", "milk 2", "milk 3", "tea 4"]
        for topic in topics:
            await tables.add_workflow(topic=topic)
        assert await found(reading_room, "tea") == ["tea 4", "tea 3", "tea 2", "tea 1"]
        assert await found(reading_room, "tea", "&limit=3") == ["tea 4", "tea 3", "tea 2"]
        assert await found(reading_room, "milk", "&limit=1") == ["milk 3"]
