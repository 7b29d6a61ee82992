"""The metadata service's listener in a VPC's namespace. Who asks is known by the address that it asks from.

Strict reverse-path filtering keeps every interface to its own address, and the firewall lets only the instances'
addresses come here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from email.utils import formatdate
from http import HTTPStatus

from dryport.host import sockets
from dryport.host.messages import Metadata
from dryport.host.metadata.service import Question, Reply, reply
from dryport.host.metadata.tokens import Tokens
from dryport.host.ruleset import METADATA

PORT = 80
_PATIENCE = 5.0  # seconds for a request to come in whole
_LONGEST = 16 << 10  # bytes of a request's head


class BadRequest(Exception):
    """What came in is no HTTP request."""


class MetadataServer:
    """Answers the instances of one VPC, each of which ``instances`` has by each of its addresses."""

    def __init__(self, tokens: Tokens) -> None:
        self.instances: dict[str, tuple[str, Metadata]] = {}
        self._tokens = tokens
        self._server: asyncio.Server | None = None

    def know(self, instances: dict[str, Metadata]) -> None:
        """Know exactly these instances, by id."""
        self.instances = {
            address: (each, metadata)
            for each, metadata in instances.items()
            for address in (metadata.address, *metadata.more_addresses)
        }

    async def start(self, namespace: str) -> None:
        """Listen. Raises OSError."""
        listener = await asyncio.to_thread(sockets.listen_in, namespace, METADATA, PORT)
        self._server = await asyncio.start_server(self._serve, sock=listener, limit=_LONGEST)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request on one connection, as AWS's service answers them."""
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            found = self.instances.get(writer.get_extra_info("peername")[0])
            if found is not None:
                async with asyncio.timeout(_PATIENCE):
                    try:
                        question = await _read(reader)
                    except BadRequest:
                        await _write(writer, Reply(400, b""), "GET")
                    else:
                        answer = reply(question, *found, self._tokens, time.time())
                        await _write(writer, answer, question.method)
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Question:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(first)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequest(line)
        headers[name.strip().lower()] = value.strip()
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > _LONGEST:
        raise BadRequest(length)
    # What is not read when the connection closes would reset it, and the answer be lost.
    await reader.readexactly(int(length))
    return Question(words[0], words[1], headers)


async def _write(writer: asyncio.StreamWriter, answer: Reply, method: str) -> None:
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Content-Type: {answer.kind}",
        "Accept-Ranges: none",
        *(f"{name}: {value}" for name, value in answer.headers),
        f"Content-Length: {len(answer.body)}",
        f"Date: {formatdate(usegmt=True)}",
        "Server: EC2ws",
        "Connection: close",
    ]
    if answer.hop_limit:
        # The answer and what is sent again of it: nothing more goes over this connection.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_IP, socket.IP_TTL, answer.hop_limit)
    body = b"" if method == "HEAD" else answer.body
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()
