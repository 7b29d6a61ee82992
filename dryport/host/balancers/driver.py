"""All balancers of this Dryport: verbs about them, and their revival."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from dryport.host import messages, namespaces
from dryport.host.balancers import requests
from dryport.host.balancers.flows import Target
from dryport.host.balancers.process import Process
from dryport.host.messages import Balancers, LogPart, Replies, Result, Verb

_PERIOD = 0.5  # seconds between looks at what runs
log = logging.getLogger("dryport.host")


class BalancerDriver:
    """Different balancers at the same time, one balancer in order."""

    def __init__(self, root: Path, prefix: str) -> None:
        self._root = root
        self._prefix = f"{prefix}lb-"
        self._processes: dict[str, Process] = {}
        self._keeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Find those that are there, and keep them running from now on."""
        self._find()
        self._keeping = asyncio.create_task(self._keep())

    def _find(self) -> None:
        for path in self._root.iterdir() if self._root.is_dir() else ():
            if path.is_dir():
                self._processes.setdefault(path.name, Process(path))

    def is_namespace(self, name: str) -> bool:
        """Whether a network namespace is one of a balancer's."""
        return name.startswith(self._prefix)

    async def do(self, verb: Verb) -> Result | None:
        """Do what a verb says. Raises Refused, PortTaken, LookupError, OSError."""
        match verb:
            case messages.EnsureBalancer(carrier=carrier):
                process = self._processes.setdefault(carrier.id, Process(self._root / carrier.id))
                async with process.lock:
                    await process.ensure(carrier)
            case messages.DeleteBalancer(balancer_id=balancer_id):
                await self._delete(balancer_id)
            case messages.ListBalancers():
                return Balancers(ids=sorted(self._processes))
            case messages.AskBalancer(balancer_id=balancer_id, commands=commands):
                return Replies(replies=await self._ask(balancer_id, commands))
            case messages.EndFlows(balancer_id=balancer_id, targets=targets):
                if (found := self._processes.get(balancer_id)) is not None:
                    async with found.lock:
                        await found.end_flows([Target(*each) for each in targets])
            case messages.TakeLog(balancer_id=balancer_id, after=after, least=least):
                content, end = await asyncio.to_thread(requests.take, self._root / balancer_id, after, least)
                return LogPart(content=content, end=end)
            case _:
                raise TypeError(f"no verb: {type(verb).__name__}")
        return None

    async def _ask(self, balancer_id: str, commands: list[str]) -> list[str]:
        process = self._processes.get(balancer_id)
        if process is None:
            raise LookupError(f"there is no balancer {balancer_id}")
        async with process.lock:
            replies = [await process.ask(each) for each in commands]
            if any(each.startswith("set ") for each in commands):
                await process.remember()
        return replies

    async def _delete(self, balancer_id: str) -> None:
        process = self._processes.get(balancer_id)
        if process is not None:
            async with process.lock:
                await process.end()
            self._processes.pop(balancer_id, None)
        await asyncio.to_thread(namespaces.delete, f"{self._prefix}{balancer_id}")

    async def _keep(self) -> None:
        while True:
            for process in list(self._processes.values()):
                if process.lock.locked() or process.carrier is None:
                    continue
                try:
                    async with process.lock:
                        await self._look_at(process)
                except OSError as error:
                    log.warning("balancer %s: %s", process.directory.name, error)
                except Exception:  # the others are looked after all the same
                    log.exception("balancer %s could not be looked after", process.directory.name)
            await asyncio.sleep(_PERIOD)

    async def _look_at(self, process: Process) -> None:
        if process.runs:
            await process.remember()
            await asyncio.to_thread(requests.bound, process.directory)
        elif process.directory.is_dir():
            log.warning("balancer %s has ended; it is started again", process.directory.name)
            await process.start()

    async def teardown(self) -> None:
        """End every balancer; also those that it has not looked after (``dryport down``, once the driver has ended)."""
        await self.close()
        self._find()
        for balancer_id in list(self._processes):
            await self._delete(balancer_id)
        for name in namespaces.names(self._prefix):
            await asyncio.to_thread(namespaces.delete, name)
        for directory in (self._root, self._root.parent):  # the parent: of all Dryports on the machine
            with contextlib.suppress(OSError):
                directory.rmdir()

    async def close(self) -> None:
        """Look after them no more; they stay."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None
