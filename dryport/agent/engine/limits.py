"""How long the runtime may take for a step, as ECS's agent bounds it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from dryport.agent.runtime import PullError, RuntimeFailure

R = TypeVar("R")


async def within(seconds: float, transition: str, work: Awaitable[R]) -> R:
    """What ``work`` gives. Raises RuntimeFailure (PullError for the transition ``pulled``) where it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        words = f"Could not transition to {transition}; timed out after waiting {written(seconds)}"
        failure = PullError(words) if transition == "pulled" else RuntimeFailure("DockerTimeoutError", words)
        raise failure from None


def written(seconds: float) -> str:
    """A duration as Go writes it: ``3m0s``, ``2h0m0s``, ``1.5s``."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours}h{minutes}m{rest:g}s"
    return f"{minutes}m{rest:g}s" if minutes else f"{rest:g}s"
