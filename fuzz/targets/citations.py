"""Citations: whatever a model writes, a text cites and links to what was given alone, and read twice it stays so.

The first byte of an input says how many sources there are.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from contracts.events import Source
from services.writer.citations import ADDRESS, cited_numbers, keep_known, source_list, without_marks

SOURCES = tuple(
    Source(
        number=number,
        url=f"https://tea.example/{number}",
        title=f"Tea {number}",
        retrieved_at=datetime(2027, 3, 1, tzinfo=UTC),
    )
    for number in range(1, 4)
)


def attempt(data: bytes) -> None:
    """Keeps the known marks, and takes all of them out."""
    sources, text = SOURCES[: data[0] % 4 if data else 0], data[1:].decode(errors="replace")
    kept = keep_known(text, sources)
    assert set(cited_numbers(kept)) <= {source.number for source in sources}
    assert keep_known(kept, sources) == kept
    bare = without_marks(text)
    assert not cited_numbers(bare)
    assert without_marks(bare) == bare
    listed = source_list(sources, cited_numbers(kept))
    assert {found["url"].rstrip(")") for found in ADDRESS.finditer(listed)} <= {source.url for source in sources}


def seeds() -> Iterable[bytes]:
    """Every way of citing, and what comes near to one."""
    texts = (
        "# Tea\n\nTea is old [1], [2, 3] and [1-3]; also [^2] and [9].\n\n```\n[1]\n```",
        'See [tea](https://tea.example/1 "Tea"), <https://tea.example/2> and ![x](http://evil.example/(a)).',
        "[[9]8] [1]: https://tea.example/1\n`[7]` ~~~\n[6]\n~~~ [1](https://other.example)",
        "[ 1 , 2 ; 3 – 5 ] [0001] [12345] [1](<https://tea.example/1>)",
    )
    for count, text in enumerate(texts):
        yield bytes([count]) + text.encode()
