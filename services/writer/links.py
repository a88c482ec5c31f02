"""Links: where X sees one in a text, with or without https:// before it, and which addresses must stay in one piece.

Written from the rules that twitter-text 3 documents and tests; X names it the measure
(https://docs.x.com/fundamentals/counting-characters).
"""

from collections.abc import Iterator

import regex

from services.writer.mentions import mentions
from services.writer.top_level_domains import TOP_LEVEL_DOMAINS

# A stretch of text: where it starts and where it has ended.
Span = tuple[int, int]

LINK_LENGTH_MAX = 4096
LABEL_LENGTH_MAX = 63  # in Punycode, as DNS has it
SHORT_LINK_SLUG_MAX = 40  # what follows t.co/

# The alphabets, each as the inside of a character class.
_SPACE = r"\t-\r\x20\x85\xa0\u1680\u180e\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_DIRECTION = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVALID = r"\ufffe\ufeff\uffff"
_PUNCTUATION = r"!'#%&()*+,\\./:;<=>?@\[\]\^{|}~$"
_NO_HOST = _PUNCTUATION + _SPACE + _DIRECTION + _INVALID
_LATIN = (
    r"\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0253\u0254\u0256\u0257\u0259\u025b\u0263\u0268\u026f\u0272\u0289\u028b"
    r"\u02bb\u0300-\u036f\u1e00-\u1eff"
)
_LETTER = r"a-z0-9\u0400-\u04ff" + _LATIN

# What may stand before a link.
BEFORE = rf"[^a-z0-9@＠$#＃{_INVALID}]|^"

# A host: labels of any script (a dash within, in subdomains also an underscore), the last one a known domain.
_TOP = r"(?:\L<tops>(?![0-9a-z@+-])|xn--[0-9a-z-]+)"
HOST = rf"(?:(?![_-])[^{_NO_HOST}]++(?<![_-])\.)*(?!-)[^{_NO_HOST}_]++(?<!-)\.{_TOP}"
_LATIN_HOST = rf"(?:[a-z0-9{_LATIN}-]++\.)+{_TOP}"

# What may follow it: a path keeps balanced parentheses and never ends in punctuation, nor does a query.
_PATH_CHARACTER = rf"[{_LETTER}!*';:=+,.$/%#\[\]\-–_~@|&]"
_PARENTHESES = rf"\((?:{_PATH_CHARACTER}++|{_PATH_CHARACTER}*+\({_PATH_CHARACTER}++\){_PATH_CHARACTER}*+)\)"
_PATH = rf"/(?:(?:{_PATH_CHARACTER}|{_PARENTHESES})*(?:[{_LETTER}+\-=_#/]|{_PARENTHESES}))?"
_QUERY = r"\?[a-z0-9!?*'@();:&=+$/%#\[\]\-_.,~|]*[a-z0-9\-_&=#/]"

# Only words with a known domain in them are read for links: reading each from every character would take minutes for
# some texts (`a.a.a.…`, or pages without a space).
_DOTTED_WORD = regex.compile(rf"(?:^|[{_SPACE}])[^{_SPACE}.]*+\.[^{_SPACE}]*+")
_DOMAIN_END = regex.compile(rf"\.{_TOP}", regex.IGNORECASE, tops=TOP_LEVEL_DOMAINS)
_LINK = regex.compile(
    rf"(?P<before>{BEFORE})"
    rf"(?P<link>(?P<scheme>https?://)?(?P<host>{HOST})(?::[0-9]+)?(?P<path>{_PATH})?(?:{_QUERY})?)",
    regex.IGNORECASE,
    tops=TOP_LEVEL_DOMAINS,
)
_HOST_IN_LATIN = regex.compile(_LATIN_HOST, regex.IGNORECASE, tops=TOP_LEVEL_DOMAINS)
_SHORT_LINK = regex.compile(rf"https?://t\.co/(?P<slug>[a-z0-9]+)(?:{_QUERY})?", regex.IGNORECASE)
_ADDRESS = regex.compile(r"[a-z0-9]{1,20}+://[!-~]+", regex.IGNORECASE)


def links(text: str) -> Iterator[Span]:
    """Where X sees links, in order and apart."""
    for found in _candidates(text):
        if found["scheme"]:
            yield from with_scheme(text, found.span("link"))
        elif found["before"] not in {"-", "_", ".", "/"}:
            yield from _without_scheme(text, found.span("host"), found.end("link") if found["path"] else None)


def addresses(text: str) -> list[Span]:
    """What a cut leaves whole, in order and apart: the links that X sees, whatever else has a scheme, and mentions."""
    others = [found.span() for found in _ADDRESS.finditer(text)]
    accounts = [(mention.start, mention.end) for mention in mentions(text)]
    whole: list[Span] = []
    for start, end in sorted([*links(text), *others, *accounts]):
        if whole and start < whole[-1][1]:
            whole[-1] = whole[-1][0], max(whole[-1][1], end)
        else:
            whole.append((start, end))
    return whole


def _candidates(text: str) -> Iterator[regex.Match[str]]:
    for word in _DOTTED_WORD.finditer(text):
        if not _DOMAIN_END.search(text, *word.span()):
            continue
        for found in _LINK.finditer(text, *word.span()):
            # X counts the scheme once more, and https:// where there is none.
            if (
                is_resolvable(found["host"])
                and len(found["scheme"] or "https://") + len(found["link"]) <= LINK_LENGTH_MAX
            ):
                yield found


def is_resolvable(host: str) -> bool:
    """Are all its labels short enough for DNS?"""
    if host.startswith("xn--") and not _HOST_IN_LATIN.search(host):
        return False
    return all(_dns_length(label) <= LABEL_LENGTH_MAX for label in host.split("."))


def _dns_length(label: str) -> int:
    if label.isascii() or len(label) > LABEL_LENGTH_MAX:  # Punycode only adds, and is slow on what is endless
        return len(label)
    return len("xn--") + len(label.encode("punycode"))


def with_scheme(text: str, link: Span) -> Iterator[Span]:
    """A link as it stands; of X's own short links only the slug and the query belong to it."""
    short = _SHORT_LINK.match(text, *link)
    if not short:
        yield link
    elif len(short["slug"]) <= SHORT_LINK_SLUG_MAX:
        yield short.span()


def _without_scheme(text: str, host: Span, path_end: int | None) -> Iterator[Span]:
    """The Latin hosts within a host: other scripts may stand between several of them; the last one has the path."""
    spans = [found.span() for found in _HOST_IN_LATIN.finditer(text, *host)]
    yield from spans[:-1]
    for start, end in spans[-1:]:
        yield start, path_end or end
