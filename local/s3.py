"""S3: where the pictures are kept. The server is SeaweedFS; everything else speaks to it as to any S3."""

import asyncio
import io
import json
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import MinioException

from local.spawn import Launch
from local.state import LOCALHOST, DataDirectory, write_private
from local.supervisor import Program

BUCKET = "pressroom"
ADMIN, SERVICES = "set-up", "pressroom"

# SeaweedFS speaks gRPC 10,000 above each of its ports; its own worker dials there whatever it is told.
GRPC_OFFSET = 10_000
PARTS = ("s3", "master", "volume", "filer", "admin")


@dataclass(frozen=True)
class S3Access:
    """What a client needs."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str


class S3(Program):
    name = "s3"
    noteworthy = re.compile(r"^[EF]\d{4} ")
    grace_s = 5.0  # its own way out takes 1 s, and once took 12

    def __init__(self, data: DataDirectory) -> None:
        self._data = data
        self._folder = data.path / "s3"
        self._has_been_tried = False

    @property
    def access(self) -> S3Access:
        return self._access(SERVICES)

    def launch(self, *, settled: bool) -> Launch:
        self._settle_ports(settled=settled)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_private(self._folder / "identities.json", json.dumps(self._identities()))
        return Launch([Path(sys.executable).with_name("weed"), *self._arguments()], {"PATH": "/usr/bin:/bin"})

    async def answers(self) -> bool:
        """A put succeeds: the port alone is open long before."""
        return await asyncio.to_thread(self._put_something)

    def tidy(self) -> None:
        """Its sockets lie in /tmp whatever TMPDIR says, and there they would stop another user's server."""
        for part in PARTS:
            port = self._port(part)
            for socket in (f"{part}-{port}", f"{part}-grpc-{port + GRPC_OFFSET}"):
                with suppress(OSError):
                    Path(f"/tmp/seaweedfs-{socket}.sock").unlink()  # noqa: S108 - the name is the server's choice

    def _arguments(self) -> list[str]:
        ports = [
            f"-{part}.port{kind}={self._port(part) + offset}"
            for part in PARTS
            for kind, offset in (("", 0), (".grpc", GRPC_OFFSET))
        ]
        return [
            "-logtostderr=true",
            "mini",
            f"-dir={self._folder / 'store'}",
            f"-s3.config={self._folder / 'identities.json'}",
            f"-ip={LOCALHOST}",
            f"-ip.bind={LOCALHOST}",
            "-master.telemetry=false",
            "-master.resumeState=false",  # else one start in thirty takes 6 s: the volume finds no leader yet
            "-s3.allowDeleteBucketNotEmpty=false",
            "-s3.autoCreateBucket=false",
            "-webdav=false",
            "-admin.ui=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-volume.preStopSeconds=0",  # nobody else has to hear of a stop
            *ports,  # all, always: the ones of last time would be used otherwise
        ]

    def _settle_ports(self, *, settled: bool) -> None:
        """The ones of last time; after a failed start all anew, as it may have left sockets that block it."""
        for part in PARTS:
            if not (settled and part == "s3"):  # the only one that others know
                anew = self._has_been_tried and not settled
                self._data.settle_port(f"s3.{part}", offsets=(0, GRPC_OFFSET), anew=anew)
        self._has_been_tried = True

    def _port(self, part: str) -> int:
        return self._data.port(f"s3.{part}")

    def _access(self, identity: str) -> S3Access:
        password = self._data.password(f"s3.{identity}")
        return S3Access(f"{LOCALHOST}:{self._port('s3')}", identity, password, BUCKET)

    def _identities(self) -> dict[str, object]:
        """Services use the one bucket and cannot make or drop any."""
        rights = {
            ADMIN: ["Admin", "Read", "Write", "List"],
            SERVICES: [f"{action}:{BUCKET}" for action in ("Read", "Write", "List", "Tagging")],
        }
        return {
            "identities": [
                {"name": name, "credentials": [self._credentials(name)], "actions": actions}
                for name, actions in rights.items()
            ]
        }

    def _credentials(self, name: str) -> dict[str, str]:
        return {"accessKey": name, "secretKey": self._data.password(f"s3.{name}")}

    def _put_something(self) -> bool:
        # Short-tempered: minio's own pool would try for minutes.
        pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=1, read=3), retries=False)
        try:
            owner = client(self._access(ADMIN), pool)
            if not owner.bucket_exists(bucket_name=BUCKET):
                owner.make_bucket(bucket_name=BUCKET)
            user = client(self.access, pool)
            user.put_object(bucket_name=BUCKET, object_name="ready", data=io.BytesIO(b"?"), length=1)
            user.remove_object(bucket_name=BUCKET, object_name="ready")
        except (MinioException, urllib3.exceptions.HTTPError):
            return False
        finally:
            pool.clear()
        return True


def client(access: S3Access, pool: urllib3.PoolManager) -> Minio:
    return Minio(access.endpoint, access.access_key, access.secret_key, secure=False, http_client=pool)
