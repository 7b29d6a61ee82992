"""A gateway of its own for each test: a store in a file, rooms of the test's making, a server on a free port."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

os.environ["DRYPORT_CHECK_ANSWERS"] = "1"

import boto3
from botocore.config import Config as ClientConfig

from dryport.control.clock import SystemClock
from dryport.control.config import Config
from dryport.control.context import Context, Room
from dryport.gateway.server import Gateway
from dryport.iam import credentials
from dryport.iam.model import Credential
from dryport.store.sqlite import SqliteStore
from tests.ports import free_port


@dataclass
class Running:
    """A gateway that serves."""

    context: Context
    port: int
    key: Credential
    task: asyncio.Task[None]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, key: Credential | None = None, **options: Any) -> Any:
        """A boto3 client of it."""
        key = key or self.key
        settings = ClientConfig(retries={"total_max_attempts": 1}, parameter_validation=False, **options)
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="eu-west-3",
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            aws_session_token=key.session_token,
            config=settings,
        )


Start = Callable[..., Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a gateway with rooms; ``await start(*rooms, dev_credentials=False)``."""
    ending: list[Callable[[], Any]] = []

    async def start_one(*rooms: Room, dev_credentials: bool = False) -> Running:
        port = free_port()
        config = Config(state_dir=tmp_path, port=port, dev_credentials=dev_credentials)
        config.log_dir.mkdir(exist_ok=True)
        store = SqliteStore.open(tmp_path / f"{port}.db")
        context = Context(store, SystemClock(), random.SystemRandom(), config)
        key = await store.transact(lambda tx: credentials.create_root_key(tx, context.random, config.account))
        gateway = Gateway(context, list(rooms))
        task = asyncio.create_task(gateway.serve(["127.0.0.1", "::1"], port))

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await store.close()

        ending.append(end)
        await listening(port, task)
        return Running(context, port, key, task)

    yield start_one
    for end in ending:
        await end()


async def listening(port: int, task: asyncio.Task[None]) -> None:
    """Wait until a gateway listens."""
    for _ in range(200):
        if task.done():
            task.result()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise AssertionError("the gateway does not listen")


async def in_thread(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Run a blocking client beside the server."""
    return await asyncio.to_thread(work, *arguments, **named)


def room(*services: Any, **raw: Any) -> Room:
    return Room(services={service.name: partial(_same, service) for service in services}, **raw)


def _same(service: Any) -> Any:
    return service


Rooms = Sequence[Room]
