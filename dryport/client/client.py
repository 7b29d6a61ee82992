"""Signed calls of AWS JSON services over aiohttp.

Source of the wire format: "AWS JSON 1.1 protocol", Smithy's documentation.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import aiohttp
import msgspec
from yarl import URL

from dryport.aws import sigv4

_TARGETS = {
    "dryport": "Dryport_20261126",
    "ecs": "AmazonEC2ContainerServiceV20141113",
    "ecr": "AmazonEC2ContainerRegistry_V20150921",
    "logs": "Logs_20140328",
    "ssm": "AmazonSSM",
    "secretsmanager": "secretsmanager",
}


# For how many seconds work that a task needs waits for a control plane that is starting anew.
PATIENCE = 30.0
_FIRST_RETRY, _LAST_RETRY = 0.1, 2.0  # seconds
_UNAVAILABLE = 503
_QUERY_TIMEOUT = 30.0  # seconds


class Credentials(NamedTuple):
    """An access key; ``token`` for temporary ones. Its text shows no secret."""

    access_key_id: str
    secret_access_key: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id})"


class ApiError(Exception):
    """The service refused: its error code, message and HTTP status."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later: the service's own trouble, or too many calls."""
        throttled = "Throttl" in self.code or self.code in ("LimitExceededException", "RequestLimitExceeded")
        return throttled or self.status == 429 or (self.status >= 500 and self.code != "NotImplemented")


class Unreachable(Exception):
    """No answer came: the endpoint is away, or the connection broke."""


class Client:
    """Calls services at one endpoint in one region. ``session`` is shared and stays the caller's."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: str, region: str) -> None:
        self.session = session
        self.endpoint = endpoint.rstrip("/")
        self.region = region

    async def call(
        self,
        service: str,
        operation: str,
        request: Mapping[str, Any],
        credentials: Credentials,
        *,
        endpoint: str = "",
        region: str = "",
        timeout: float = 30.0,
        patience: float = 0.0,
    ) -> dict[str, Any]:
        """One call; for ``patience`` seconds tried again where nobody answers. Raises ApiError, Unreachable."""
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"{_TARGETS[service]}.{operation}",
        }
        body = msgspec.json.encode(request)
        url = URL((endpoint or self.endpoint).rstrip("/") + "/")
        send = partial(self._send, "POST", url, headers, body, credentials, service, region, timeout)
        status, answer = await _patiently(send, patience)
        if status >= 300:
            raise _error(status, answer)
        try:
            return msgspec.json.decode(answer or b"{}", type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise Unreachable(f"the answer is no JSON: {error}") from error

    async def query(self, service: str, form: Mapping[str, str], credentials: Credentials) -> ElementTree.Element:
        """One call of a service of AWS's query protocol; its answer's root element. Raises ApiError, Unreachable."""
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        url = URL(self.endpoint + "/")
        status, answer = await self._send(
            "POST", url, headers, urlencode(form).encode(), credentials, service, "", _QUERY_TIMEOUT
        )
        if status >= 300:
            raise _xml_error(status, answer)
        try:
            return ElementTree.fromstring(answer)
        except ElementTree.ParseError as error:
            raise Unreachable(f"the answer is no XML: {error}") from error

    async def get_object(
        self,
        bucket: str,
        key: str,
        credentials: Credentials,
        *,
        region: str = "",
        timeout: float = 30.0,
        patience: float = 0.0,
    ) -> bytes:
        """An object's content, from S3 addressed by path; ``patience`` as in ``call``. Raises ApiError, Unreachable."""
        url = URL(f"{self.endpoint}/{quote(bucket)}/{quote(key, safe='/-_.~')}", encoded=True)
        send = partial(self._send, "GET", url, {}, b"", credentials, "s3", region, timeout)
        status, answer = await _patiently(send, patience)
        if status >= 300:
            raise _xml_error(status, answer)
        return answer

    async def _send(
        self,
        method: str,
        url: URL,
        headers: dict[str, str],
        body: bytes,
        credentials: Credentials,
        service: str,
        region: str,
        timeout: float,
    ) -> tuple[int, bytes]:
        headers = {"host": url.authority} | headers
        headers |= signature(method, url, headers, body, credentials, service, region or self.region)
        try:
            limit = aiohttp.ClientTimeout(total=timeout)
            async with self.session.request(method, url, data=body or None, headers=headers, timeout=limit) as response:
                return response.status, await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error


async def _patiently(send: Callable[[], Awaitable[tuple[int, bytes]]], patience: float) -> tuple[int, bytes]:
    deadline = time.monotonic() + patience
    delay = _FIRST_RETRY
    while True:
        left = deadline - time.monotonic() - delay
        try:
            status, answer = await send()
            if status != _UNAVAILABLE or left < 0:
                return status, answer
        except Unreachable:
            if left < 0:
                raise
        await asyncio.sleep(delay)
        delay = min(_LAST_RETRY, delay * 2)


def signature(
    method: str, url: URL, headers: Mapping[str, str], body: bytes, credentials: Credentials, service: str, region: str
) -> dict[str, str]:
    """The headers that sign a request; ``headers`` holds ``host``."""
    return sigv4.sign(
        method,
        url.raw_path,
        url.raw_query_string,
        headers,
        body,
        access_key_id=credentials.access_key_id,
        secret=credentials.secret_access_key,
        token=credentials.token,
        region=region,
        service=service,
        now=time.time(),
    )


def _error(status: int, answer: bytes) -> ApiError:
    try:
        shape = msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.DecodeError:
        return ApiError(f"HTTP{status}", answer[:200].decode(errors="replace"), status)
    code = str(shape.get("__type") or shape.get("code") or f"HTTP{status}").rpartition("#")[2].partition(":")[0]
    return ApiError(code, str(shape.get("message") or shape.get("Message") or ""), status)


def _xml_error(status: int, answer: bytes) -> ApiError:
    def element(name: str) -> str:
        return answer.partition(f"<{name}>".encode())[2].partition(f"</{name}>".encode())[0].decode(errors="replace")

    return ApiError(element("Code") or f"HTTP{status}", element("Message"), status)
