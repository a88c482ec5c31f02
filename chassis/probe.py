"""Asks the service that runs beside it whether it can do its job at the moment: the health check of a container.

python -m chassis.probe [URL]       without a URL: where a service of these settings tells its health

Standard library only: it runs every few seconds in each container.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

READY = "/health/ready"
TIMEOUT_S = 4.0
GATEWAY_PORT = "8000"


def places(environment: Mapping[str, str]) -> Iterator[str]:
    """Where a service may answer: a stage and the projector at their health port, the gateway where it serves."""
    for port in (environment.get("PRESSROOM_HEALTH_PORT"), environment.get("PRESSROOM_PORT") or GATEWAY_PORT):
        if port and port != "0":
            yield f"http://127.0.0.1:{port}{READY}"


def ask(url: str) -> tuple[bool, str] | None:
    """Whether all is well there, and what was said; None where nobody answers."""
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "127.0.0.1", place.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", place.path or "/")
        answer = connection.getresponse()
        return answer.status == 200, answer.read(2_000).decode(errors="replace")
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def main() -> None:
    """Exit code 0: it can do its job."""
    for url in sys.argv[1:] or places(os.environ):
        if told := ask(url):
            is_well, words = told
            print(words)  # noqa: T201
            sys.exit(0 if is_well else 1)
    print("Nothing answers.")  # noqa: T201
    sys.exit(1)


if __name__ == "__main__":
    main()
