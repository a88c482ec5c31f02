"""The works of a workflow: the things it makes, one name each."""

from enum import StrEnum
from functools import cached_property

from contracts.platforms import Platform


class Kind(StrEnum):
    """What sort of thing a work makes. A stage does every work of its kinds."""

    RESEARCH = "research"
    BLOG = "blog"
    SOCIAL = "social"
    ILLUSTRATION = "illustration"


class Work(StrEnum):
    """One thing to be made, as it is named in the log: `research`, `blog`, `social:<platform>`, `illustration`."""

    RESEARCH = "research"
    BLOG = "blog"
    SOCIAL_LINKEDIN = "social:linkedin"
    SOCIAL_X = "social:x"
    SOCIAL_FACEBOOK = "social:facebook"
    SOCIAL_INSTAGRAM = "social:instagram"
    SOCIAL_THREADS = "social:threads"
    SOCIAL_BLUESKY = "social:bluesky"
    SOCIAL_MASTODON = "social:mastodon"
    ILLUSTRATION = "illustration"

    @classmethod
    def social(cls, platform: Platform) -> "Work":
        """The work of writing for that platform."""
        return cls(f"{Kind.SOCIAL}:{platform}")

    @cached_property
    def kind(self) -> Kind:
        """The kind this work is of."""
        return Kind(self.partition(":")[0])

    @property
    def platform(self) -> Platform:
        """The platform of a social work. Raises ValueError for any other work."""
        return Platform(self.partition(":")[2])
