"""The telemetry websocket: metrics and health every 20 s, changes of health at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from dryport.agent.acs.backoff import Backoff
from dryport.agent.acs.registration import HASH, VERSION, Registration
from dryport.agent.acs.websocket import HandshakeRefused, Inactive, connect
from dryport.agent.connect.proxies import Proxies
from dryport.agent.identity import Identity, NoCredentials
from dryport.agent.model import ContainerStatus, TaskRecord
from dryport.agent.runtime import ContainerStats, Runtime, RuntimeFailure
from dryport.agent.tcs import messages
from dryport.client import ApiError, Client, Unreachable
from dryport.client.client import signature

log = logging.getLogger("dryport.agent.tcs")
_PERIOD = 20.0  # seconds between frames
_SILENCE = 120.0  # seconds without an acknowledgement after which the connection is dropped


class Telemetry:
    """Keeps one telemetry websocket open and publishes on it."""

    def __init__(
        self,
        *,
        client: Client,
        registration: Registration,
        identity: Identity,
        runtime: Runtime,
        records: Mapping[str, TaskRecord],
        runtime_version: str,
        interval: float | None,
        cpus: float,
        proxies: Proxies,
    ) -> None:
        """``interval``: seconds between two samples of each container; ``None``: nothing is measured.

        ``cpus``: how many the instance has registered.
        """
        self._cpus = cpus
        self._proxies = proxies
        self._interval = interval
        self._client = client
        self._registration = registration
        self._identity = identity
        self._runtime = runtime
        self._records = records
        self._runtime_version = runtime_version
        self._backoff = Backoff(random.random)
        self._samples: dict[str, list[ContainerStats]] = defaultdict(list)
        self._health = asyncio.Event()
        self._status = (True, time.time())

    def health_changed(self) -> None:
        """A container's health has changed: publish it now."""
        self._health.set()

    async def run(self) -> None:
        """Connect, publish, connect again, until cancelled."""
        while True:
            try:
                _, endpoint = await self._registration.poll_endpoints()
                delay = self._backoff.after_close(await self._serve(endpoint))
            except Inactive:
                delay = self._backoff.after_inactive()
            except (ApiError, Unreachable, HandshakeRefused, NoCredentials) as error:
                delay = self._backoff.after_failure()
                log.info("no telemetry connection: %s", error)
            await asyncio.sleep(delay)

    async def _serve(self, endpoint: str) -> int:
        query = {
            "agentHash": HASH,
            "agentVersion": VERSION,
            "cluster": self._identity.cluster,
            "containerInstance": self._identity.instance_arn,
            "dockerVersion": self._runtime_version,
        }
        socket = await connect(self._client, endpoint, query, self._identity.credentials())
        url = URL(endpoint)
        loops = [
            asyncio.ensure_future(work)
            for work in (
                self._listen(socket),
                self._publish_health(socket, url),
                self._publish_metrics(socket, url),
                *([self._sample(self._interval)] if self._interval is not None else ()),
            )
        ]
        try:
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for loop in done:
                with contextlib.suppress(ConnectionError, TimeoutError):
                    loop.result()
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await socket.close()
        return socket.close_code or aiohttp.WSCloseCode.ABNORMAL_CLOSURE

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while (await socket.receive(_SILENCE)).type is aiohttp.WSMsgType.TEXT:
            pass  # acknowledgements carry nothing

    async def _publish_health(self, socket: aiohttp.ClientWebSocketResponse, url: URL) -> None:
        while True:
            self._health.clear()
            for message in messages.health(self._identity, self._records.values(), time.time()):
                if message["tasks"]:
                    await self._send(socket, url, "PublishHealthRequest", message)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._health.wait(), _PERIOD)

    async def _publish_metrics(self, socket: aiohttp.ClientWebSocketResponse, url: URL) -> None:
        while True:
            samples, self._samples = self._samples, defaultdict(list)
            for id, own in samples.items():
                self._samples[id] = own[-1:]  # the next period's first difference begins where this one's ended
            if self._interval is not None:
                records, now = list(self._records.values()), time.time()
                connected = {each.arn: await self._proxies.measure(each.payload) for each in records}
                for message in messages.metrics(self._identity, records, dict(samples), now, self._cpus, connected):
                    await self._send(socket, url, "PublishMetricsRequest", message)
            await self._send(socket, url, "PublishInstanceStatusRequest", await self._instance_status())
            await asyncio.sleep(_PERIOD)

    async def _instance_status(self) -> dict[str, Any]:
        try:
            await self._runtime.ping()
            ok = True
        except RuntimeFailure:
            ok = False
        if ok is not self._status[0]:
            self._status = (ok, time.time())
        return messages.instance_status(self._identity, ok=ok, since=self._status[1], now=time.time())

    async def _sample(self, interval: float) -> None:
        while True:
            running = [
                container.id
                for record in list(self._records.values())
                for container in record.containers.values()
                if container.known is ContainerStatus.RUNNING
            ]
            for gone in self._samples.keys() - set(running):
                del self._samples[gone]
            for id in running:
                with contextlib.suppress(RuntimeFailure):
                    if (stats := await self._runtime.stats(id)) is not None:
                        self._samples[id].append(stats)
            await asyncio.sleep(interval)

    async def _send(
        self, socket: aiohttp.ClientWebSocketResponse, url: URL, kind: str, message: dict[str, Any]
    ) -> None:
        body = msgspec.json.encode({"type": kind, "message": message})
        host = {"host": url.authority}
        signed = signature("GET", url, host, body, self._identity.credentials(), "ecs", self._client.region)
        block = {"Authorization": signed["authorization"], "Host": host["host"], "X-Amz-Date": signed["x-amz-date"]}
        if token := signed.get("x-amz-security-token"):
            block["X-Amz-Security-Token"] = token
        head = "".join(f"{name}: {value}\r\n" for name, value in block.items())
        await socket.send_str(f"{head}\r\n{body.decode()}")
