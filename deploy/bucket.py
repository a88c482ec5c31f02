"""The bucket for the pictures: made where it is missing, and tried before any service relies on it.

python -m deploy.bucket       as one who may make buckets; safe to repeat
"""

import io
import sys
import time

import urllib3
from minio import Minio
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from chassis.settings import Settings, load_settings

WITHIN_S, BETWEEN_S = 60.0, 1.0
"""An S3 server may answer before it can store anything."""

TRIED = "set-up"
"""The object that is stored and taken away again."""


def make_bucket(settings: Settings) -> None:
    """Raises MinioException, HTTPError when the store still takes nothing after a minute."""
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=10), retries=False)
    store = Minio(
        settings.s3_endpoint,
        settings.s3_access_key,
        settings.s3_secret_key.get_secret_value(),
        secure=settings.s3_secure,
        http_client=pool,
    )
    until = time.monotonic() + WITHIN_S
    while True:
        try:
            return _make_and_try(store, settings.s3_bucket)
        except (MinioException, HTTPError):
            if time.monotonic() > until:
                raise
            time.sleep(BETWEEN_S)


def _make_and_try(store: Minio, bucket: str) -> None:
    if not store.bucket_exists(bucket_name=bucket):
        store.make_bucket(bucket_name=bucket)
    store.put_object(bucket_name=bucket, object_name=TRIED, data=io.BytesIO(b"?"), length=1)
    store.remove_object(bucket_name=bucket, object_name=TRIED)


def main() -> None:
    """Exit code 0: the bucket takes pictures."""
    try:
        make_bucket(load_settings())
    except (MinioException, HTTPError) as wrong:
        print(f"Set-up of the bucket stopped: {wrong}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
