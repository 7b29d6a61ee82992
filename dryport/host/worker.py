"""A thread that lives in one network namespace and does, one after the other, what is to be done there."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pyroute2 import IPRoute, NetlinkError

from dryport.host import namespaces
from dryport.host.nft import Nft

R = TypeVar("R")


class Worker:
    """Runs functions in a namespace ("" is the process's own); netlink and nftables are open there.

    ``ip`` may only be used by functions that this worker runs.
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=namespace or "machine")
        self.ip: IPRoute
        self.nft: Nft

    @classmethod
    async def start(cls, namespace: str) -> Worker:
        """Enter the namespace. Raises FileNotFoundError where there is none."""
        worker = cls(namespace)
        try:
            await worker.run(worker._enter)
        except BaseException:
            worker._executor.shutdown(wait=False)
            raise
        return worker

    def _enter(self) -> None:
        if self.namespace:
            namespaces.enter_forever(self.namespace)
        self.ip = IPRoute()
        self.nft = Nft()

    async def run(self, work: Callable[[], R]) -> R:
        """Run ``work`` in the namespace and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def close(self) -> None:
        """Leave the namespace; the thread ends."""

        def leave() -> None:
            self.ip.close()
            self.nft.close()

        await self.run(leave)
        self._executor.shutdown(wait=True)


@contextlib.contextmanager
def already_there() -> Iterator[None]:
    """Let pass that what was to be added exists."""
    try:
        yield
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise
