"""Bugs around pictures: what is taken for stored."""

from typing import Any

from chaos.planted.bug import Patch
from chassis.object_store import Object, S3Store


def trust_the_store(patch: Patch) -> None:
    """Takes what was uploaded for what is kept, without reading it back."""

    def trusting(put: Any) -> Any:
        def puts(self: S3Store, key: str, data: bytes, content_type: str) -> None:
            put(_Believed(self, Object(data, content_type)), key, data, content_type)

        return puts

    patch.replace(S3Store, "_put", trusting)


class _Believed:
    """A store that holds what it was given, whoever looks."""

    def __init__(self, store: S3Store, given: Object) -> None:
        self._store, self._given = store, given

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _get(self, *_: object) -> Object:
        return self._given
