"""The control plane's process: the store, every room, the gateway.

SIGTERM ends it and leaves the tasks running; SIGUSR1 stops every task first (``dryport down``).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import sys
from pathlib import Path

import uvloop

from dryport.control.clock import SystemClock
from dryport.control.config import load
from dryport.control.context import Context
from dryport.control.entropy import Entropy
from dryport.ec2.published import park_instances, unparked
from dryport.ecs.published import stop_tasks_of_this_machine, tasks_of_this_machine
from dryport.gateway.server import Gateway
from dryport.platform import credentials, rooms
from dryport.platform.addresses import endpoint_address, loopback_addresses, until_there
from dryport.store.sqlite import SqliteStore

log = logging.getLogger("dryport.platform")
# Little here is garbage that only a collection finds. With Python's own threshold what is held is gone through so often
# that it takes a tenth of a request's time, and a third with a thousand agents connected.
GARBAGE = (25_000, 20, 100)
# The store's writing thread wants the interpreter back for microseconds, many times a second: Python's 5 ms are a
# twentieth of all writes.
SWITCH_SECONDS = 0.0002
PARK_SECONDS = 15.0  # an instance that is shut down by force then has had no tasks for a while
DRAIN_SECONDS = 40.0  # Fargate's longest default stop timeout, and some room


async def _drain(context: Context) -> None:
    """Ask every task to stop and wait until all have, for a bounded time."""
    await context.store.transact(lambda tx: stop_tasks_of_this_machine(tx, context.clock.time()))
    deadline = context.clock.monotonic() + DRAIN_SECONDS
    while (left := tasks_of_this_machine(context.store.reader)) and context.clock.monotonic() < deadline:
        await context.clock.sleep(0.1)
    if left:
        log.warning("%d tasks had not stopped after %.0f s", len(left), DRAIN_SECONDS)
    await _park(context)


async def _park(context: Context) -> None:
    """Have the instances shut down in order, for a bounded time."""
    await context.store.transact(park_instances)
    deadline = context.clock.monotonic() + PARK_SECONDS
    while (left := unparked(context.store.reader)) and context.clock.monotonic() < deadline:
        await context.clock.sleep(0.1)
    if left:
        log.warning("%d instances had not shut down after %.0f s", len(left), PARK_SECONDS)


async def _serve_vpcs(gateway: Gateway, context: Context) -> None:
    address = endpoint_address(context.config)
    await until_there(address, context.clock)
    await gateway.serve([address], context.config.port)


async def serve(state_dir: Path) -> None:
    """Run until SIGTERM or SIGUSR1."""
    config = load(state_dir)
    store = SqliteStore.open(state_dir / "control.db")
    context = Context(store=store, clock=SystemClock(), random=Entropy(), config=config)
    await credentials.ensure(context)
    furnished = rooms.furnish(context)

    asked: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def ask(drain: bool) -> None:
        if not asked.done():
            asked.set_result(drain)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ask, False)
    loop.add_signal_handler(signal.SIGINT, ask, False)
    loop.add_signal_handler(signal.SIGUSR1, ask, True)

    gateway = Gateway(context, furnished)
    running = [loop.create_task(gateway.serve([*loopback_addresses(), *config.listen], config.port))]
    running.append(loop.create_task(_serve_vpcs(gateway, context)))
    running += [loop.create_task(each.run()) for room in furnished for each in room.loops]
    for task in running:
        task.add_done_callback(lambda ended: _ended(ended, ask))
    gc.collect()
    gc.freeze()  # what was made so far lives as long as the process
    gc.set_threshold(*GARBAGE)

    if await asked:
        await _drain(context)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await store.close()
    failed = [task.exception() for task in running if not task.cancelled() and task.exception()]
    if failed:
        raise SystemExit(f"the control plane ended: {failed[0]!r}")


def _ended(task: asyncio.Task[None], ask: object) -> None:
    """A loop that ends by itself takes the process with it: the supervisor starts it anew, nothing is lost."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a loop failed", exc_info=error)
        if callable(ask):
            ask(False)


def main() -> None:
    """Entry point of ``python -m dryport.platform.control_plane``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    sys.setswitchinterval(SWITCH_SECONDS)
    uvloop.run(serve(arguments.state_dir))


if __name__ == "__main__":
    main()
