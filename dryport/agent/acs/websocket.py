"""A signed websocket to the control plane, as AWS's agent opens it."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from aiohttp import web
from yarl import URL

from dryport.client import Client, Credentials, Unreachable
from dryport.client.client import signature


class Inactive(Exception):
    """The control plane says that this container instance is inactive."""


class HandshakeRefused(Exception):
    """The control plane refused the handshake; the text has its status and answer."""


async def connect(
    client: Client, endpoint: str, query: Mapping[str, str], credentials: Credentials
) -> aiohttp.ClientWebSocketResponse:
    """Open ``<endpoint>/ws?query``. Raises Inactive, HandshakeRefused, Unreachable."""
    url = URL(endpoint.rstrip("/") + "/ws").with_query(query)
    headers = {"host": url.authority}
    headers = signature("GET", url, headers, b"", credentials, "ecs", client.region)
    try:
        # The handshake is made by hand, so that the answer to a refused one can be read.
        return await client.session.ws_connect(url, headers=headers, heartbeat=None, max_msg_size=16 << 20)
    except aiohttp.WSServerHandshakeError as error:
        if error.status == web.HTTPBadRequest.status_code and await _inactive(client, url, headers):
            raise Inactive from error
        raise HandshakeRefused(f"{error.status}: {error.message}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from error


async def _inactive(client: Client, url: URL, headers: Mapping[str, str]) -> bool:
    """Ask once more without aiohttp's websocket client, which throws the answer's body away."""
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    try:
        async with client.session.get(url, headers={**headers, **upgrade}) as answer:
            return answer.status == web.HTTPBadRequest.status_code and b"InactiveInstance" in await answer.read()
    except (aiohttp.ClientError, OSError):
        return False
