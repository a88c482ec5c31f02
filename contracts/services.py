"""The services by name, and which stage does which works. A service's name is its part of every subject it writes."""

from contracts.works import Kind

GATEWAY = "gateway"
RESEARCH = "research"
WRITER = "writer"
ILLUSTRATOR = "illustrator"
PROJECTOR = "projector"

STAGES: dict[str, frozenset[Kind]] = {
    RESEARCH: frozenset({Kind.RESEARCH}),
    WRITER: frozenset({Kind.BLOG, Kind.SOCIAL}),
    ILLUSTRATOR: frozenset({Kind.ILLUSTRATION}),
}
"""The stages, and the kinds of work that each does."""

SERVICES = (GATEWAY, *STAGES, PROJECTOR)
"""All of them, in the order in which they are told."""
