"""Pictures: what their bytes say is read from them, and what no browser shows, or is damaged, is refused."""

import io
import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image

from chassis.model import AnswerMalformed
from services.illustrator.pictures import Picture, read_picture

SHOWN = [("PNG", "image/png", "png"), ("JPEG", "image/jpeg", "jpg"), ("WEBP", "image/webp", "webp")]


def drawn(format: str, size: tuple[int, int] = (48, 32), mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 50).convert(mode).save(file, format)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def declared(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is this large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("format", "content_type", "ending"), SHOWN)
def test_measures_and_type_are_the_pictures_own(format: str, content_type: str, ending: str) -> None:
    assert read_picture(drawn(format)) == Picture(48, 32, content_type, ending)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "I;16"])
def test_every_kind_of_png_is_read(mode: str) -> None:
    assert read_picture(drawn("PNG", mode=mode)).content_type == "image/png"


def test_jpeg_of_several_pictures_is_a_jpeg() -> None:
    file, image = io.BytesIO(), Image.new("RGB", (48, 32))
    image.save(file, "MPO", save_all=True, append_images=[image])
    assert read_picture(file.getvalue()) == Picture(48, 32, "image/jpeg", "jpg")


@pytest.mark.parametrize("format", ["GIF", "BMP", "TIFF", "ICO", "PPM"])
def test_other_formats_are_refused(format: str) -> None:
    with pytest.raises(AnswerMalformed):
        read_picture(drawn(format))


@pytest.mark.parametrize("data", [b"", b"no picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>", bytes(1_000)])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(AnswerMalformed):
        read_picture(data)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_picture_that_broke_off_is_refused(format: str) -> None:
    data = drawn(format)
    with pytest.raises(AnswerMalformed):
        read_picture(data[: len(data) * 2 // 3])


@pytest.mark.parametrize("side", [10_000, 14_000, 60_000, 2**31 - 1])
def test_picture_that_would_fill_the_memory_is_refused(side: int) -> None:
    with pytest.raises(AnswerMalformed):
        read_picture(declared(side, side))


@given(st.sampled_from([drawn(shown) for shown, _, _ in SHOWN]), st.data())
@examples(deadline=None, max_examples=300)
def test_damaged_bytes_are_read_or_refused(data: bytes, choice: st.DataObject) -> None:
    damaged = bytearray(data)
    for place in choice.draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=6)):
        damaged[place] = choice.draw(st.integers(0, 255))
    with suppress(AnswerMalformed):
        read_picture(bytes(damaged))
