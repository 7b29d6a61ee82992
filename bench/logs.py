"""CloudWatch Logs: events taken in and read a second, by boto3 clients in threads of this process.

``python bench/logs.py`` prints a table. The clients' own cost is in the numbers: they and the server share the machine.
Every batch is on disk before it is answered.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from dryport.logs.room import room
from tests.served import Served

_WRITERS = 4
_LINE = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 200 '


def write(served: Served, stream: str, batches: int, size: int, start: int) -> None:
    logs = served.client("logs")
    for batch in range(batches):
        first = start + batch * size
        events = [{"timestamp": first + number, "message": f"{_LINE}{number}"} for number in range(size)]
        logs.put_log_events(logGroupName="bench", logStreamName=stream, logEvents=events)


def writing(served: Served, batches: int, size: int) -> tuple[float, float]:
    """Events and requests a second."""
    start = round(time.time() * 1000)
    threads = [
        threading.Thread(target=write, args=(served, f"s{number}", batches, size, start)) for number in range(_WRITERS)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    return _WRITERS * batches * size / took, _WRITERS * batches / took


def reading(logs: Any, pattern: str) -> tuple[int, float]:
    """How many events a pattern finds in everything, and the seconds that it takes."""
    began = time.perf_counter()
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="bench", filterPattern=pattern)
    return sum(len(page["events"]) for page in pages), time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        served = Served(Path(directory), [room])
        logs = served.client("logs")
        logs.create_log_group(logGroupName="bench")
        for number in range(_WRITERS):
            logs.create_log_stream(logGroupName="bench", logStreamName=f"s{number}")
        print("| events a batch | events a second | requests a second |\n|---|---|---|")
        total = 0
        for size, batches in ((1, 100), (10, 100), (1000, 10), (8000, 3)):
            events, requests = writing(served, batches, size)
            total += size * batches * _WRITERS
            print(f"| {size:,} | {events:,.0f} | {requests:,.0f} |")
        print(f"\n| pattern, over {total:,} events | found | seconds |\n|---|---|---|")
        for pattern in ('"no such words"', "%99[0-9]$%", "[..., status, size > 7990]", "{ $.status = 200 }"):
            found, seconds = reading(logs, pattern)
            print(f"| `{pattern}` | {found:,} | {seconds:.2f} |")
        served.stop()


if __name__ == "__main__":
    main()
