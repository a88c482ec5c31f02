"""The language: events, the decider, subjects and messages. Pure; needs pydantic alone."""
