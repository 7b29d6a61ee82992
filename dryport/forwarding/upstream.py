"""An upstream: a request signed anew and sent, its answer streamed back as it comes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dryport.aws import sigv4
from dryport.aws.errors import ServiceError
from dryport.control.config import Forward
from dryport.forwarding.keys import Key, Keys, Unusable
from dryport.forwarding.targets import AWS, MOTO

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

    from dryport.gateway.models import ServiceModel
    from dryport.gateway.service import Call, Stream

log = logging.getLogger("dryport.forwarding")
CONNECT_SECONDS = 10.0
START_SECONDS = 60.0  # so long a moto server may take to listen, on a busy machine
SILENCE_SECONDS = 300.0  # longer than any call that AWS answers late: a Lambda function's takes 15 minutes at most
_SILENCE = {"lambda": 960.0}
_CONNECTIONS = 64  # to one upstream
_PIECE = 256 * 1024
# Of the caller's and the connection's own: they do not go on (RFC 9110 section 7.6.1).
_KEPT_BACK = frozenset(
    (
        "authorization", "connection", "content-length", "date", "expect", "forwarded", "host", "keep-alive",
        "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
        "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-forwarded-for", "x-moto-account-id",
    )
)  # fmt: skip
_NOT_RETURNED = frozenset(["connection", "date", "keep-alive", "trailer", "transfer-encoding", "upgrade"])


@dataclass(frozen=True, slots=True)
class Line:
    """A request's line; ``host`` is by which name it came, for whom (``account``), where and when it acts."""

    method: str
    path: str  # percent-encoded
    query: str
    host: str
    account: str
    region: str
    now: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; its headers' names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Upstream:
    """Where a service is served."""

    def __init__(self, forward: Forward, model: ServiceModel, keys: Keys) -> None:
        self._forward = forward
        self._model = model
        self._keys = keys
        self._session: aiohttp.ClientSession | None = None

    def account(self) -> str:
        """Whose the upstream's resources are, empty where nobody has said it. Raises ServiceError."""
        return self._key().account

    def _key(self) -> Key:
        try:
            return self._keys.of(self._forward.service)
        except Unusable as error:
            raise _unavailable(f"{self._forward.service} cannot be forwarded: {error}") from None

    def address(self, region: str) -> str:
        """The upstream's URL for a region. Raises ServiceError where AWS has none."""
        if self._forward.to == MOTO:
            return f"http://127.0.0.1:{self._forward.port}"
        if self._forward.to != AWS:
            return self._forward.to
        found = aws_endpoint(self._model.metadata.endpointPrefix, region)
        if found is None:
            raise _unavailable(f"AWS has no endpoint of {self._forward.service} in {region}")
        return found

    async def send(self, call: Call, stream: Stream, body: bytes) -> None:
        """Send a request on and its answer back. Raises ServiceError where there is none."""
        headers = {name: value for name, value in call.headers.items() if name not in _KEPT_BACK}
        if headers.get("content-encoding", "").strip().lower() == "gzip":
            del headers["content-encoding"]  # the body has been unpacked (``gateway.bodies``)
        line = Line(stream.method, stream.path, stream.query, call.host, call.account, call.region, call.now)
        try:
            async with self._asked(line, headers, body) as answer:
                await _return(answer, stream)
        except ServiceError as error:
            if not stream.begun:
                raise
            log.warning("an answer was broken off: %s", error.message)
            stream.cut()

    async def ask(self, line: Line, headers: Mapping[str, str], body: bytes) -> Answer:
        """Ask in the platform's own name. Raises ServiceError where there is no whole answer."""
        async with self._asked(line, dict(headers), body) as answer:
            text = await answer.read()
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, text)

    @asynccontextmanager
    async def _asked(self, line: Line, headers: dict[str, str], body: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request that was sent. Raises ServiceError where it, or reading its answer, fails."""
        import aiohttp
        from yarl import URL

        address = self.address(line.region)
        parts = urlsplit(address)
        line = replace(line, path=parts.path.rstrip("/") + line.path)
        url = f"{parts.scheme}://{parts.netloc}{line.path}" + (f"?{line.query}" if line.query else "")
        silence = _SILENCE.get(self._forward.service, SILENCE_SECONDS)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        signed = self._signed(line, headers, parts.netloc, body)
        try:
            async with await self._sent(
                line.method, URL(url, encoded=True), headers=signed, data=body or None, timeout=timeout,
                allow_redirects=False,
            ) as answer:  # fmt: skip
                yield answer
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = str(error) or "it did not answer in time"
            raise _unavailable(f"{self._forward.service} is forwarded to {address}, which fails: {reason}") from None

    async def _sent(self, method: str, url: URL, **options: Any) -> aiohttp.ClientResponse:
        """A request that was sent, to a moto server once it listens: nothing has reached it before."""
        import aiohttp

        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return await self._client().request(method, url, **options)
            except aiohttp.ClientConnectorError:
                if self._forward.to != MOTO or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)

    def _signed(self, line: Line, kept: dict[str, str], host: str, body: bytes) -> dict[str, str]:
        """Headers, signed for the upstream."""
        key = self._key()
        kept["host"] = host
        if self._forward.to == MOTO:
            kept["host"] = line.host or host  # moto's addresses (QueueUrl) then lead here again
            kept["x-moto-account-id"] = line.account
        added = sigv4.sign(
            line.method, line.path, line.query, kept, body,
            access_key_id=key.access_key_id, secret=key.secret, token=key.token,
            region=line.region, service=self._model.metadata.signing_name, now=line.now,
        )  # fmt: skip
        if "accept-encoding" not in kept:
            added["accept-encoding"] = "identity"  # or the client would be sent what it did not ask for
        return kept | added

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("user-agent", "content-type", "accept", "accept-encoding"),
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _return(answer: aiohttp.ClientResponse, stream: Stream) -> None:
    headers = [(name.lower(), value) for name, value in answer.headers.items()]
    length = answer.content_length
    stream.begin(answer.status, [pair for pair in headers if pair[0] not in _NOT_RETURNED], length)
    async for piece in answer.content.iter_chunked(_PIECE):
        await stream.send(piece)
    stream.end()


def aws_endpoint(endpoint_prefix: str, region: str) -> str | None:
    """AWS's own endpoint of a service in a region, as botocore's data have it."""
    import botocore.session

    resolver = botocore.session.get_session().get_component("endpoint_resolver")
    found: Mapping[str, str] | None = resolver.construct_endpoint(endpoint_prefix, region)
    return f"https://{found['hostname']}" if found else None


def _unavailable(message: str) -> ServiceError:
    return ServiceError("ServiceUnavailable", message, 503)
