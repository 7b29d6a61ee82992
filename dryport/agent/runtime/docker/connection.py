"""The connection to Docker's daemon: aiodocker, with failures made the runtime's own.

Three calls go below aiodocker's public ones, which do not give what is needed here: events until the daemon goes away,
log messages with their stream, and counters at once.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import aiodocker
import aiohttp
import msgspec
from aiodocker.exceptions import DockerError

from dryport.agent.runtime.interface import RuntimeFailure

_FRAME = struct.Struct(">BxxxL")
_STREAMS = {0: "stdin", 1: "stdout", 2: "stderr"}
_FOREVER = aiohttp.ClientTimeout(total=None, sock_read=None)

# What aiohttp raises while the daemon is away, goes away or comes back.
AWAY = (aiohttp.ClientError, ConnectionError, FileNotFoundError, TimeoutError)


@contextmanager
def failures(kind: str, *, missing_ok: bool = False, conflict_ok: bool = False) -> Iterator[None]:
    """Make Docker's refusals RuntimeFailures of ``kind``, in the words that ECS's agent shows."""
    try:
        yield
    except DockerError as error:
        if (missing_ok and error.status == 404) or (conflict_ok and error.status in (304, 409)):
            return
        raise RuntimeFailure(kind, f"Error response from daemon: {error.message}") from error
    except AWAY as error:
        raise RuntimeFailure("DockerTimeoutError", f"Could not reach the Docker daemon: {error}") from error


class Connection:
    """aiodocker on the daemon's socket."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._docker: aiodocker.Docker | None = None

    @property
    def docker(self) -> aiodocker.Docker:
        """The client, made inside the running loop."""
        if self._docker is None:
            self._docker = aiodocker.Docker(url=f"unix://{self._socket}")
        return self._docker

    async def ends(self, label: str) -> AsyncIterator[str]:
        """Docker's ids of containers of ``label`` as they end, from now on, until the daemon goes away.

        Yields "" first, once it listens: what ended before that has to be looked for.
        """
        filters = msgspec.json.encode({"type": ["container"], "event": ["die"], "label": [label]}).decode()
        params = {"filters": filters}
        async with self.docker._query("events", params=params, timeout=_FOREVER) as response:
            yield ""
            async for line in response.content:
                event = msgspec.json.decode(line)
                yield str(event["Actor"]["ID"])

    async def log(self, id: str, since: str, *, follow: bool, terminal: bool) -> AsyncIterator[tuple[str, bytes]]:
        """A container's messages with time stamps, each with its stream; ``since`` in seconds, with a fraction."""
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": "1" if follow else "0"}
        if since:
            params["since"] = since
        async with self.docker._query(f"containers/{id}/logs", params=params, timeout=_FOREVER) as response:
            if terminal:
                async for line in response.content:
                    yield "stdout", line.replace(b"\r\n", b"\n")
                return
            rest = b""
            async for piece in response.content.iter_any():
                frames, rest = split(rest + piece)
                for frame in frames:
                    yield frame

    async def load(self, repository: str, tag: str, archive: bytes, changes: str = "") -> None:
        """Make an image of one layer, a tar archive. ``changes`` is a line of a Dockerfile. Raises RuntimeFailure."""
        params = {"fromSrc": "-", "repo": repository, "tag": tag, **({"changes": changes} if changes else {})}
        headers = {"Content-Type": "application/x-tar"}
        with failures("CannotCreateContainerError"):
            async with self.docker._query(
                "images/create", "POST", params=params, data=archive, headers=headers
            ) as response:
                await response.read()

    async def counters(self, id: str) -> dict[str, Any]:
        """A container's counters now (``stats`` waits for a second sample)."""
        path = f"containers/{id}/stats"
        answer = await self.docker._query_json(path, params={"stream": "0", "one-shot": "1"})
        return dict(answer)

    async def close(self) -> None:
        """Let go of the daemon."""
        if self._docker is not None:
            await self._docker.close()
            self._docker = None


def split(data: bytes) -> tuple[list[tuple[str, bytes]], bytes]:
    """The whole frames at the beginning of ``data``, each with its stream, and what is left ("Attach", Engine API)."""
    frames, at = [], 0
    while at + _FRAME.size <= len(data):
        kind, length = _FRAME.unpack_from(data, at)
        end = at + _FRAME.size + length
        if end > len(data):
            break
        frames.append((_STREAMS.get(kind, "stdout"), data[at + _FRAME.size : end]))
        at = end
    return frames, data[at:]
