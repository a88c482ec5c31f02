"""The sample picture: a small landscape whose colours and shapes follow from the prompt."""

import hashlib
import io
import itertools
import math
import random
from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
Colour = tuple[int, int, int]

LABEL = "Sample picture · Pressroom stand-in"
SUPERSAMPLING = 2  # drawn twice as large and halved: smooth edges for a few milliseconds
LAYERS = 5
# Each line: sky at the top, sky between, sky at the horizon, the sun or moon, the farthest land, the nearest land.
PALETTES = (
    "2b3a67 b56576 ffcb9a fff1d6 c98b8b 1f1a38",
    "0b1d3a 27527d 7fb2c9 f4f1de 5d93ad 071422",
    "4a9fc9 a5d8e6 fdf3d8 fffdf2 a3c9b0 1d4a45",
    "7b2d43 e07a5f f6d7a7 fff3dc cf8a66 34141f",
    "31275c 8a5a9e f2b5c4 fff0f3 a777a6 191334",
    "1d6a78 6cb8ae f0ead2 fffaf0 8fbfa8 0d3238",
    "d98e4a f2c57c fbeed0 ffffff d8a973 4d2c1d",
    "5b7aa6 c3d3e4 f9efe6 ffffff a9bdd1 25354d",
    "14213d 3f4a78 f0a868 ffe8c2 6e5f86 0c1020",
)


def draw_picture(prompt: str, width: int, height: int) -> bytes:
    """A PNG of that size; the same prompt gives the same picture."""
    chance = random.Random(hashlib.sha256(prompt.encode()).digest())  # noqa: S311 (a picture, not a secret)
    *heaven, sun, far, near = colours_of(chance.choice(PALETTES))
    scene = sky((width * SUPERSAMPLING, height * SUPERSAMPLING), heaven)
    draw_sun(scene, chance, sun)
    ridge = chance.choice((hills, peaks, skyline, forest))
    for layer in range(LAYERS):
        nearness = layer / (LAYERS - 1)
        draw_land(scene, ridge(chance), blend(far, near, nearness), nearness)
    picture = scene.reduce(SUPERSAMPLING)
    draw_label(picture)
    png = io.BytesIO()
    picture.save(png, "PNG", compress_level=1)  # level 1 is several times as quick as the default
    return png.getvalue()


def colours_of(palette: str) -> list[Colour]:
    return [(red, green, blue) for red, green, blue in map(bytes.fromhex, palette.split())]


def blend(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def sky(size: tuple[int, int], colours: list[Colour]) -> Image.Image:
    """From the top to the horizon in the middle, computed for one column and stretched: soft and quick."""
    top, between, horizon = colours
    column = Image.new("RGB", (1, 256), horizon)
    for row in range(140):
        share = row / 70
        column.putpixel((0, row), blend(top, between, share) if share < 1 else blend(between, horizon, share - 1))
    # Pillow's types mention numpy, which is not installed.
    return column.resize(size, Image.Resampling.BILINEAR)  # pyright: ignore[reportUnknownMemberType]


def draw_sun(scene: Image.Image, chance: random.Random, colour: Colour) -> None:
    width, height = scene.size
    centre = (width * chance.uniform(0.2, 0.8), height * chance.uniform(0.16, 0.36))
    radius = min(width, height) * chance.uniform(0.05, 0.09)
    brush = ImageDraw.Draw(scene, "RGBA")
    for ring in (3.4, 2.6, 1.9, 1.4):
        brush.circle(centre, radius * ring, fill=(*colour, 26))
    brush.circle(centre, radius, fill=colour)


def draw_land(scene: Image.Image, ridge: Iterator[Point], colour: Colour, nearness: float) -> None:
    """One silhouette; the nearer, the lower it stands and the larger its detail."""
    width, height = scene.size
    ground, detail = height * (0.52 + 0.33 * nearness), height * (0.8 + 0.5 * nearness)
    line = [(x * width, ground - y * detail) for x, y in ridge]
    ImageDraw.Draw(scene).polygon([(0, height), *line, (width, height)], fill=colour)


def hills(chance: random.Random) -> Iterator[Point]:
    waves = [(often * chance.uniform(2.5, 4.5), chance.uniform(0, math.tau), 0.05 / often) for often in (1, 2, 4)]
    for step in range(101):
        yield step / 100, sum(tall * math.sin(often * step / 100 + shift) for often, shift, tall in waves)


def peaks(chance: random.Random) -> Iterator[Point]:
    heights, rough = [chance.uniform(-0.03, 0.03) for _ in range(4)], 0.1
    while len(heights) < 49:
        between = [(a + b) / 2 + chance.uniform(-rough, rough) for a, b in itertools.pairwise(heights)]
        heights = [y for pair in zip(heights, between, strict=False) for y in pair] + heights[-1:]
        rough *= 0.45
    yield from ((step / (len(heights) - 1), y) for step, y in enumerate(heights))


def skyline(chance: random.Random) -> Iterator[Point]:
    x = 0.0
    while x < 1:
        wide, tall = chance.uniform(0.03, 0.08), chance.choice((0.0, 0.02, 0.04, 0.07, 0.1, 0.14))
        spire = 0.05 if tall > 0.1 else 0
        middle = x + wide / 2
        yield from ((x, tall), (middle - 0.003, tall), (middle, tall + spire), (middle + 0.003, tall), (x + wide, tall))
        x += wide


def forest(chance: random.Random) -> Iterator[Point]:
    """Pines on a hill: up to each tip in two steps, then straight down to the ground."""
    for x, ground in hills(chance):
        tall = chance.uniform(0.015, 0.06)
        yield from ((x, ground), (x + 0.003, ground + tall * 0.45), (x + 0.002, ground + tall * 0.45))
        yield from ((x + 0.005, ground + tall), (x + 0.008, ground + tall * 0.45), (x + 0.007, ground + tall * 0.45))


def draw_label(picture: Image.Image) -> None:
    font = ImageFont.load_default(max(8, picture.width // 52))
    brush = ImageDraw.Draw(picture, "RGBA")
    corner, edge = (picture.width * 0.035, picture.height * 0.965), picture.width / 90
    left, top, right, bottom = brush.textbbox(corner, LABEL, font=font, anchor="ls")
    brush.rounded_rectangle((left - edge, top - edge, right + edge, bottom + edge), edge, fill=(0, 0, 0, 80))
    brush.text(corner, LABEL, font=font, anchor="ls", fill=(255, 255, 255, 225))
