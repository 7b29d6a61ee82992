"""A steady load on an HTTP server: ``with Load(url) as load: …; load.answers``.

The client is a process of its own (``python -m tests.load URL RATE CONNECTIONS``), so that nothing that a test does
slows it down. Requests are begun at their time, whatever became of those before: where a server stalls, all wait.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from dryport.host import processes

_LONGEST = 30.0  # seconds for an answer


class Answer(NamedTuple):
    """What became of a request that was to begin ``at`` (monotonic): its HTTP status, or why there is none."""

    at: float
    seconds: float
    status: int
    error: str
    server: str  # what the body begins with


class Load:
    """So many requests a second, over so many connections that are kept. ``priority``: 20 goes before all others."""

    def __init__(self, url: str, rate: float = 100.0, connections: int = 8, priority: int = 0) -> None:
        self._command = [sys.executable, "-m", "tests.load", url, str(rate), str(connections)]
        self._priority = priority
        self.answers: list[Answer] = []

    def __enter__(self) -> Self:
        # A session of its own: Linux weighs sessions against each other, and ``nice`` only within one (sched(7)).
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        if self._priority:
            processes.set_precedence(self._process.pid, -self._priority)
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        printed, _unused = self._process.communicate(timeout=2 * _LONGEST)
        if failure is not None:
            return  # it says more than what became of the load, which may not even have begun
        assert self._process.returncode == 0, f"the load ended with {self._process.returncode}"
        self.answers = [Answer(*each) for each in json.loads(printed)]

    @property
    def failed(self) -> list[Answer]:
        """The requests that were not answered with 200."""
        return [each for each in self.answers if each.status != 200]

    def percentile(self, share: float, since: float = 0.0, until: float = float("inf")) -> float:
        """Seconds within which a share (0.99) of the requests of a time were answered."""
        times = sorted(each.seconds for each in self.answers if since <= each.at < until)
        return times[min(len(times) - 1, int(share * len(times)))]


class Client:
    """One connection, opened again where the server ended it after an answer."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self) -> tuple[int, str]:
        """The status and the body. Raises OSError, EOFError."""
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
        body = await reader.readexactly(length)
        if "connection: close" in head:
            self.close()
        return int(head.split()[1]), body.decode("latin-1")

    def close(self) -> None:
        """Let go of the connection."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def _ask(client: Client, at: float, found: list[Answer]) -> None:
    try:
        async with asyncio.timeout(_LONGEST):
            status, body = await client.get()
        error = ""
    except (OSError, EOFError, TimeoutError) as failure:
        client.close()
        status, body, error = 0, "", f"{type(failure).__name__}: {failure}"
    found.append(Answer(at, time.monotonic() - at, status, error, body[:40].strip()))


async def _keep_asking(url: str, first: float, pause: float, end: asyncio.Event, found: list[Answer]) -> None:
    client, at = Client(url), first
    while not end.is_set():
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        await _ask(client, at, found)
        at += pause
    client.close()


async def main(url: str, rate: float, connections: int) -> None:
    """Ask until SIGTERM; print what became of it."""
    end, found = asyncio.Event(), list[Answer]()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    begin = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            group.create_task(_keep_asking(url, begin + number / rate, connections / rate, end, found))
    print(json.dumps(sorted(found)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
