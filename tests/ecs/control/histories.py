"""Random histories of a control plane, lived through."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

# One loop for all: ending a loop waits for servers that were killed within it.
LOOP = asyncio.new_event_loop()


class History(Protocol):
    """A control plane, its agents, and what must stay true of them."""

    async def begin(self) -> None: ...

    async def take(self, operation: str, argument: int) -> None: ...

    async def end(self) -> None: ...

    async def close(self) -> None: ...


def live(make: Callable[[Path, int], History], operations: list[tuple[str, int]], seed: int, seconds: float) -> None:
    """Live through a history, which may take so many seconds."""
    LOOP.run_until_complete(_live(make, operations, seed, seconds))


async def _live(
    make: Callable[[Path, int], History], operations: list[tuple[str, int]], seed: int, seconds: float
) -> None:
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # killed halves of connections are not news
    with tempfile.TemporaryDirectory(prefix="dp-histories-") as directory:
        history = make(Path(directory), seed)
        await history.begin()
        try:
            async with asyncio.timeout(seconds):
                for operation, argument in operations:
                    await history.take(operation, argument)
                await history.end()
        finally:
            await history.close()
