"""Pictures: what a picture's own bytes say about it."""

import io
import warnings
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from chassis.model import AnswerMalformed

ENDINGS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}
"""The formats that every browser shows, and how their files end."""


@dataclass(frozen=True)
class Picture:
    """A picture's measures in pixels, its content type, and the ending of its file's name."""

    width: int
    height: int
    content_type: str
    ending: str


def read_picture(data: bytes) -> Picture:
    """Reads the whole picture. Raises AnswerMalformed for what is not a PNG, JPEG or WebP, or is damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=tuple(ENDINGS)) as image:
                image.load()
                # A JPEG that holds several pictures calls itself MPO; browsers show its first.
                kind = "JPEG" if image.format == "MPO" else str(image.format)
                return Picture(image.width, image.height, Image.MIME[kind], ENDINGS[kind])
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning) as wrong:
        raise AnswerMalformed("The model's picture is not a PNG, JPEG or WebP, or far too large.") from wrong
    except (OSError, ValueError, SyntaxError) as wrong:  # Pillow's ways of saying that the bytes are damaged
        raise AnswerMalformed("The model's picture is damaged.") from wrong
