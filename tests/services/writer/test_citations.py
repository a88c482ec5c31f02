"""Citations: marks are found in every way people write them, and only sources that were given are ever cited."""

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from contracts.events import Source
from services.writer.citations import cited_numbers, keep_known, source_list, without_marks
from tests.services.attempts import source

ONE_AND_TWO = (source(1), source(2))

# Pieces from which texts grow that come close to marks, code and links, far more often than any text does.
PIECES = [
    *"[]()`^<>:,-–!\n 123789",
    "[1]",
    "[9]",
    "[8, 1]",
    "[1-9]",
    "```",
    "~~~",
    "http://e.vil",
    "word",
    "](",
    "[^2]",
]
texts = st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text()
sources = st.sets(st.integers(1, 9)).map(lambda numbers: tuple(source(number) for number in sorted(numbers)))


class TestMarks:
    @pytest.mark.parametrize(
        ("text", "numbers"),
        [
            ("Bees dance. [3]", (3,)),
            ("Bees dance.[3][1]", (1, 3)),
            ("Bees dance. [1, 2]", (1, 2)),
            ("Bees dance. [1;2]", (1, 2)),
            ("Bees dance. [1-3]", (1, 2, 3)),
            ("Bees dance. [1–3, 7]", (1, 2, 3, 7)),
            ("Bees dance. [^3]", (3,)),
            ("Bees dance. [ 3 ]", (3,)),
            ("Bees dance. [2](https://example.org)", (2,)),
            ("In [2024] bees danced.", (2024,)),
            ("Bees dance.", ()),
            ("Bees [dance].", ()),
            ("Bees dance. [3.5]", ()),
        ],
    )
    def test_every_way_of_citing_is_found(self, text: str, numbers: tuple[int, ...]) -> None:
        assert cited_numbers(text) == numbers

    @pytest.mark.parametrize("code", ["`x[3]`", "```\nx[3]\n```", "~~~\nx[3]\n~~~", "```\nx[3] never closed"])
    def test_code_cites_nothing(self, code: str) -> None:
        assert cited_numbers(f"So: {code}") == ()


class TestKeepingTheKnown:
    @given(texts, sources)
    @examples(max_examples=500)
    def test_unknown_number_never_gets_through(self, text: str, given_sources: tuple[Source, ...]) -> None:
        known = {source.number for source in given_sources}
        assert set(cited_numbers(keep_known(text, given_sources))) <= known

    @given(texts, sources)
    @examples(max_examples=300)
    def test_keeping_twice_changes_nothing_more(self, text: str, given_sources: tuple[Source, ...]) -> None:
        once = keep_known(text, given_sources)
        assert keep_known(once, given_sources) == once

    @given(texts, sources)
    def test_address_that_was_not_given_never_gets_through(self, text: str, given_sources: tuple[Source, ...]) -> None:
        prose = text.replace("`", "").replace("~", "")
        assert "http://" not in keep_known(prose, given_sources)

    @pytest.mark.parametrize(
        "text",
        ["[[9]8]", "[<http://e.vil>8]", "[8http://e.vil]", "` [9\n] `[8]`", "[" * 50 + "9]" * 50],
    )
    def test_what_is_taken_out_leaves_no_new_mark(self, text: str) -> None:
        assert cited_numbers(keep_known(text, ONE_AND_TWO)) == ()

    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            ("Bees dance [9].", "Bees dance."),
            ("Bees dance [1][9].", "Bees dance [1]."),
            ("Bees dance [1, 9].", "Bees dance [1]."),
            ("Bees dance [1-3].", "Bees dance [1][2]."),
            ("Bees dance [^1].", "Bees dance [1]."),
            ("Bees dance [0001].", "Bees dance [1]."),
            ("As [1] says: bees dance.", "As [1] says: bees dance."),
            ("According to [1]: bees dance.", "According to [1]: bees dance."),
            ("According to [9]: bees dance.", "According to: bees dance."),
        ],
    )
    def test_known_marks_stay_and_unknown_go(self, text: str, kept: str) -> None:
        assert keep_known(text, ONE_AND_TWO) == kept

    @pytest.mark.parametrize("definition", ["[1]: //e.vil/x", "> [1]: page.html", "[^1]: A note."])
    def test_mark_is_never_given_another_meaning(self, definition: str) -> None:
        assert "]:" not in keep_known(f"Bees dance [1].\n\n{definition}", ONE_AND_TWO)

    @pytest.mark.parametrize("code", ["`x[9]`", "```python\nx[9] = http://e.vil\n```", "~~~\nx[9]\n~~~"])
    def test_code_is_left_alone(self, code: str) -> None:
        assert keep_known(f"So: {code} [9]", ONE_AND_TWO) == f"So: {code}"

    def test_text_without_marks_stays_as_it_is(self) -> None:
        text = "# Bees\n\n- *dance* [ ] [x] a[i] (so)\n\n| a | b |\n"
        assert keep_known(text, ONE_AND_TWO) == text

    def test_long_run_of_spaces_takes_no_time(self) -> None:
        text = " " * 100_000 + "."
        assert keep_known(text, ONE_AND_TWO) == text


class TestLinks:
    @pytest.mark.parametrize(
        "link", ["[a bee](http://e.vil)", '[a bee](<http://e.vil> "title")', "![a bee](x.png)", "[a bee](bee.html)"]
    )
    def test_link_to_a_page_not_given_becomes_its_text(self, link: str) -> None:
        assert keep_known(f"See {link}.", ONE_AND_TWO) == "See a bee."

    @pytest.mark.parametrize("address", ["http://e.vil/x", "<http://e.vil/x>", "HTTP://E.VIL/x", "https://e.vil/a_(b)"])
    def test_bare_address_that_was_not_given_goes(self, address: str) -> None:
        assert "vil" not in keep_known(f"See {address} now", ONE_AND_TWO).casefold()

    @pytest.mark.parametrize(
        "text",
        [
            "See [a bee](https://example.org/1).",
            "See https://example.org/1, and <https://example.org/2>.",
            "See [tea](https://example.org/tea_(plant)).",
            "See https://example.org/tea_(plant)",
        ],
    )
    def test_link_to_a_given_page_stays(self, text: str) -> None:
        assert keep_known(text, (*ONE_AND_TWO, source(3, "https://example.org/tea_(plant)"))) == text


class TestWithoutMarks:
    def test_marks_go_and_links_become_text(self) -> None:
        assert without_marks("Bees [1, 2] dance [here](https://example.org/1) [9].") == "Bees dance here."

    @given(texts)
    @examples(max_examples=300)
    def test_no_text_keeps_a_mark(self, text: str) -> None:
        assert cited_numbers(without_marks(text)) == ()


class TestSourceList:
    def test_only_cited_sources_are_named(self) -> None:
        assert source_list(ONE_AND_TWO, [2]) == "## Sources\n\n2. [Page 2](https://example.org/2)"

    def test_nothing_cited_is_no_list(self) -> None:
        assert source_list(ONE_AND_TWO, []) == ""

    def test_title_cannot_end_its_link(self) -> None:
        assert source_list([source(1, title="a](http://e.vil) [b\n# c")], [1]).endswith(
            "1. [a(http://e.vil) b # c](https://example.org/1)"
        )

    @pytest.mark.parametrize("url", ["https://a.org/) [x](http://e.vil", "https://a.org/a b", "https://a.org/<x>"])
    def test_address_cannot_end_its_link(self, url: str) -> None:
        line = source_list([source(1, url)], [1]).splitlines()[-1]
        assert line.count("](") == 1
        assert not set(line.partition("](")[2][:-1]) & set(" ()<>")
