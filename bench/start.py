"""From ``dryport up`` to the first answered request, and ``dryport down``: medians of several starts and stops.

``python bench/start.py [--rounds 5]`` (as root) prints a table and keeps it in ``bench/results/start.md``. A start is
timed from the command line's process to the answer of a signed ListClusters, sent again and again meanwhile. The first
start of each state directory makes the store, the keys and the default VPC; the second one finds them.
"""

from __future__ import annotations

import argparse
import compileall
import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dryport
from dryport.aws import sigv4

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "start.md"
DRYPORT = [sys.executable, "-m", "dryport.cli.main"]
DEADLINE_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answered(state: Path, port: int) -> bool:
    """Whether a signed ListClusters is answered."""
    try:
        key = json.loads((state / "credentials.json").read_text())
    except (FileNotFoundError, ValueError):
        return False
    headers = {
        "host": f"127.0.0.1:{port}",
        "x-amz-target": "AmazonEC2ContainerServiceV20141113.ListClusters",
        "content-type": "application/x-amz-json-1.1",
    }
    headers |= sigv4.sign(
        "POST", "/", "", headers, b"{}", access_key_id=key["access_key_id"], secret=key["secret_access_key"],
        token=None, region="us-east-1", service="ecs", now=time.time(),
    )  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", "/", b"{}", headers)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    if answer.status != 200:
        raise SystemExit(f"status {answer.status}: {body.decode(errors='replace')}")
    return True


def up(state: Path, port: int) -> float:
    """Seconds to the first answer. Raises SystemExit."""
    began = time.monotonic()
    command = [*DRYPORT, "up", "--detach", "--state-dir", str(state), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not answered(state, port):
        if process.poll() not in (None, 0) or time.monotonic() - began > DEADLINE_SECONDS:
            raise SystemExit(f"dryport up does not answer; see {state}/log")
        time.sleep(0.005)
    took = time.monotonic() - began
    process.wait()
    return took


def down(state: Path) -> float:
    """Seconds that ``dryport down`` takes."""
    began = time.monotonic()
    subprocess.run([*DRYPORT, "down", "--state-dir", str(state)], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def measure(rounds: int) -> str:
    """Run everything; returns the table."""
    rows: dict[str, list[float]] = {"first start of a state": [], "later start": [], "down": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="dryport-start-") as scratch:
            state, port = Path(scratch) / "state", free_port()
            for name in ("first start of a state", "later start"):
                try:
                    rows[name].append(up(state, port))
                finally:
                    rows["down"].append(down(state))
    lines = [
        "# From `dryport up` to the first answered request",
        "",
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}; medians of {rounds} rounds, with nothing running in the tasks "
        f"(`bench/start.py --rounds {rounds}`). The machine's load average was {os.getloadavg()[0]:.1f}.",
        "",
        "| | median | least | most |",
        "|---|---:|---:|---:|",
    ]
    for name, times in rows.items():
        lines.append(f"| {name} | {statistics.median(times):.2f} s | {min(times):.2f} s | {max(times):.2f} s |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    compileall.compile_dir(Path(dryport.__file__).parent, quiet=1)  # as the installation does
    text = measure(parser.parse_args().rounds)
    print(text)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
