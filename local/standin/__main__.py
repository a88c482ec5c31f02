"""`python -m local.standin --port P`: the stand-in model as a process of its own."""

import argparse

from .server import make_server


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m local.standin", description=__doc__)
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--host", default="127.0.0.1")
    # Long enough to watch the progress of a workflow, short enough not to bore.
    options.add_argument("--latency", type=float, default=1.5, metavar="SECONDS", help="how long each call takes")
    chosen = options.parse_args()
    make_server(host=chosen.host, port=chosen.port, latency_s=chosen.latency).run()


if __name__ == "__main__":
    main()
