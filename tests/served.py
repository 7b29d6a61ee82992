"""Services of Dryport behind its real gateway, in a thread of the tests' process: for what needs no containers."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

os.environ["DRYPORT_CHECK_ANSWERS"] = "1"

import boto3
from botocore.config import Config as ClientConfig

from dryport.control.clock import SystemClock
from dryport.control.config import Config
from dryport.control.context import Context, RoomMaker
from dryport.gateway.server import Gateway
from dryport.iam import credentials
from dryport.store.sqlite import SqliteStore
from tests.ports import free_port

R = TypeVar("R")


class Served:
    """Rooms that serve. ``stop`` leaves the state directory as a killed process would: nothing is closed in order."""

    def __init__(self, state_dir: Path, makers: Sequence[RoomMaker], **settings: Any) -> None:
        """``settings`` are further ones of the configuration."""
        self.state_dir = state_dir
        self._settings = settings
        self._makers = makers
        self.start()

    def start(self) -> None:
        """Serve the state directory, on a new port, in a new event loop."""
        self.port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.run(self._start())

    def stop(self) -> None:
        """Stop serving, and let go of the store's lock so that ``start`` can open it again."""
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def restart(self) -> None:
        self.stop()
        self.start()

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine in the server's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _start(self) -> None:
        config = Config(state_dir=self.state_dir, port=self.port, **self._settings)
        config.log_dir.mkdir(exist_ok=True)
        store = SqliteStore.open(self.state_dir / "control.db")
        self.context = Context(store, SystemClock(), random.SystemRandom(), config)
        self.key = await store.transact(lambda tx: credentials.create_root_key(tx, self.context.random, config.account))
        self.rooms = [maker(self.context) for maker in self._makers]
        gateway = Gateway(self.context, self.rooms)
        self._tasks = [asyncio.create_task(gateway.serve(["127.0.0.1", "::1"], self.port))]
        self._tasks += [asyncio.create_task(loop.run()) for room in self.rooms for loop in room.loops]
        for _ in range(500):
            if self._tasks[0].done():
                self._tasks[0].result()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return
        raise AssertionError("the gateway does not listen")

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.context.store.close()

    @property
    def endpoint(self) -> str:
        return f"http://localhost:{self.port}"

    def client(self, service: str, region: str = "us-east-1", **options: Any) -> Any:
        """A boto3 client with the root key; what is invalid reaches the server."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=self.key.access_key_id,
            aws_secret_access_key=self.key.secret_access_key,
            config=ClientConfig(retries={"total_max_attempts": 1}, parameter_validation=False, **options),
        )

    def cli(self, *arguments: str, **named: Any) -> subprocess.CompletedProcess[str]:
        """Run the AWS CLI."""
        command = [sys.executable, "-m", "awscli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=self.environment(), **named)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.key.secret_access_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
        }


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """Code and message of the error that a boto3 call answers."""
    from botocore.exceptions import ClientError

    try:
        answer = call(**request)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError(f"answered {answer}")
