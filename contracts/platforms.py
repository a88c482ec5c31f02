"""The social platforms a workflow may write for."""

from enum import StrEnum


class Platform(StrEnum):
    """A social platform; its limits and its counting live with the writer."""

    LINKEDIN = "linkedin"
    X = "x"
    FACEBOOK = "facebook"
    INSTAGRAM = "instagram"
    THREADS = "threads"
    BLUESKY = "bluesky"
    MASTODON = "mastodon"
