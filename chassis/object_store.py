"""The object store: pictures, in any S3."""

import asyncio
import hashlib
import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from chassis.health import Trouble
from chassis.settings import Settings
from chassis.stage import WorkFailed
from chassis.telemetry import Seldom
from contracts.subjects import WorkflowKey

PAUSES_S = (0.5, 1.0, 2.0, *[4.0] * 14)
"""Between tries to upload what was paid for: for about a minute, which is less than an attempt may take."""

UPLOAD_S = 60.0
"""When no further try is begun: each may take its time itself, at a store that has fallen silent."""

NO_SUCH_KEY = "check"

PICTURE_KEY = re.compile(r"images/.+/([0-9a-f]{64})\.[a-z]+")
"""The key of a picture, which tells the hash of its bytes."""

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 3.0, 20.0

GET_S = 8.0
"""Of one object, with the wait for a thread: so long a reader waits for a store that stands still."""

CONNECTIONS_MAX = 32
"""Each in a thread of its own. A store that stands still takes these, and none that others need."""

AWAY = "away"
"""The one cause under which the log is told of an outage, whatever each try ended with."""

T = TypeVar("T")

log = structlog.get_logger("object_store")


def picture_key(workflow: WorkflowKey, sha256: str, ending: str) -> str:
    """Where a workflow's picture is kept. The hash of its bytes is part of the key, so storing it twice is harmless."""
    return f"images/{workflow.owner}/{workflow.workflow_id}/{sha256}.{ending}"


def picture_pointer(owner: str, sha256: str) -> str:
    """Where the key of a picture stands, for those who know only its hash."""
    return f"pointers/{owner}/{sha256}"


class ObjectStoreUnavailable(WorkFailed):
    """The object store does not take the picture at the moment."""


class ObjectStoreRefused(WorkFailed):
    """The object store refuses the credentials or the bucket: set PRESSROOM_S3_… right, then resume the workflow."""


REFUSALS = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket", "InvalidBucketName"}
"""What no waiting mends."""


@dataclass(frozen=True)
class Object:
    """What is stored under a key."""

    data: bytes
    content_type: str


class ObjectStore(Protocol):
    """Where pictures are kept."""

    async def check(self) -> None:
        """Makes sure that the store answers. Raises ObjectStoreUnavailable, ObjectStoreRefused."""
        ...

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """Stores the bytes under the key and makes sure that they arrived. Storing the same twice is harmless.

        Raises ObjectStoreUnavailable, ObjectStoreRefused.
        """
        ...

    async def get(self, key: str) -> Object | None:
        """What is stored under the key, or None. Raises ObjectStoreUnavailable, ObjectStoreRefused.

        A picture's bytes are those that its key names, or they are not given out.
        """
        ...


class S3Store:
    """An object store that speaks S3's protocol."""

    def __init__(self, settings: Settings) -> None:
        self._bucket = settings.s3_bucket
        self._seldom = Seldom()
        self._threads = ThreadPoolExecutor(CONNECTIONS_MAX, thread_name_prefix="object-store")
        self.trouble = Trouble()
        self._pools = _pool(READ_TIMEOUT_S), _pool(GET_S)
        self._client, self._reader = (_client(settings, pool) for pool in self._pools)

    def close(self) -> None:
        """Ends its threads and connections; what is under way in one ends first, and is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for pool in self._pools:
            pool.clear()

    async def check(self) -> None:
        """See ObjectStore."""
        await self.get(NO_SUCH_KEY)

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """See ObjectStore. Tries again for a while: that is sooner done than another attempt."""
        give_up_at = asyncio.get_running_loop().time() + UPLOAD_S
        for pause in PAUSES_S:
            try:
                return await self._told(lambda: self._put(key, data, content_type))
            except ObjectStoreUnavailable:
                if asyncio.get_running_loop().time() + pause > give_up_at:
                    raise
                await asyncio.sleep(pause)
        return await self._told(lambda: self._put(key, data, content_type))

    async def get(self, key: str) -> Object | None:
        """See ObjectStore. An answer that is not there within GET_S is not waited for."""
        try:
            async with asyncio.timeout(GET_S):
                return await self._told(lambda: _as_named(key, self._get(self._reader, key)))
        except TimeoutError as late:
            unavailable = ObjectStoreUnavailable(f"The object store did not answer within {GET_S:g} s.")
            self._tell(unavailable)
            raise unavailable from late

    async def _told(self, ask: Callable[[], T]) -> T:
        """Asks in a thread; whether the store does as it is asked shows in the health and, now and then, in the log."""
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except WorkFailed as failed:
            self._tell(failed)
            raise
        self.trouble.ends()
        if self._seldom.ends(AWAY):
            log.info("the object store answers again")
        return answer

    def _tell(self, failed: WorkFailed) -> None:
        self.trouble.meets(str(failed))
        if self._seldom.allows(AWAY, asyncio.get_running_loop().time()):
            log.warning("no use of the object store", why=str(failed))

    def _put(self, key: str, data: bytes, content_type: str) -> None:
        try:
            self._client.put_object(self._bucket, key, io.BytesIO(data), len(data), content_type)
        except (MinioException, HTTPError, OSError) as wrong:
            raise _named(wrong) from wrong
        stored = self._get(self._client, key)  # checksums in headers are not checked by every S3 server
        if stored is None or hashlib.sha256(stored.data).digest() != hashlib.sha256(data).digest():
            raise ObjectStoreUnavailable("The object store does not hold what was uploaded.")

    def _get(self, client: Minio, key: str) -> Object | None:
        try:
            response = client.get_object(self._bucket, key)
        except S3Error as wrong:
            if wrong.code == "NoSuchKey":
                return None
            raise _named(wrong) from wrong
        except (MinioException, HTTPError, OSError) as wrong:
            raise _named(wrong) from wrong
        try:
            return Object(response.read(), response.headers.get("Content-Type", "application/octet-stream"))
        except (HTTPError, OSError) as wrong:
            raise _named(wrong) from wrong
        finally:
            response.close()
            response.release_conn()


def _as_named(key: str, found: Object | None) -> Object | None:
    """What was found, unless it is another picture than its key names: damaged on its way, or where it is kept."""
    named = PICTURE_KEY.fullmatch(key)
    if found and named and hashlib.sha256(found.data).hexdigest() != named[1]:
        raise ObjectStoreUnavailable("The object store gave other bytes than the picture's name says.")
    return found


def _pool(read_s: float) -> urllib3.PoolManager:
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=read_s),
        maxsize=CONNECTIONS_MAX,
        retries=False,  # the retries are ours, where they can be seen
    )


def _client(settings: Settings, pool: urllib3.PoolManager) -> Minio:
    return Minio(
        settings.s3_endpoint,
        settings.s3_access_key,
        settings.s3_secret_key.get_secret_value(),
        secure=settings.s3_secure,
        region="us-east-1",  # given, so that the client does not ask the server for it
        http_client=pool,
    )


def _named(wrong: Exception) -> WorkFailed:
    code = getattr(wrong, "code", None) or type(wrong).__name__
    if code in REFUSALS:
        return ObjectStoreRefused(f"{ObjectStoreRefused.__doc__} It said: {code}.")
    return ObjectStoreUnavailable(f"The object store does not answer as it should: {code}.")
