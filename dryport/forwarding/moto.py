"""A moto server as a process of Dryport's: ``SERVICE=moto``. What it holds is in its memory and ends with it."""

from __future__ import annotations

import argparse


def main() -> None:
    """Entry point of ``python -m dryport.forwarding.moto``; the supervisor starts it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state-dir", required=True)  # so that it is known whose process this is
    parser.add_argument("--port", required=True)
    arguments = parser.parse_args()
    from moto.server import main as serve

    serve(["-H", "127.0.0.1", "-p", arguments.port])


if __name__ == "__main__":
    main()
