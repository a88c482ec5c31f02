"""How long a text is once it is encoded: in UTF-16 code units, in UTF-8 bytes."""


def utf16_length(text: str) -> int:
    """The length in UTF-16 code units: 1, and 2 for what lies beyond the first 65,536 code points, as most emoji do."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def utf8_length(text: str) -> int:
    """The length in UTF-8 bytes: 1 for ASCII, 2 to 4 for anything else."""
    return len(text.encode("utf-8", "surrogatepass"))
