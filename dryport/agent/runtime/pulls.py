"""Pulls of one image at the same time share one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from dryport.agent.runtime.interface import Image, RegistryAuth


class SharedPulls:
    """The pulls under way. Only those with the same credentials are shared: nobody gets in on another's."""

    def __init__(self, pull: Callable[[str, RegistryAuth | None], Coroutine[Any, Any, Image]]) -> None:
        self._pull = pull
        self._under_way: dict[tuple[str, str, str], asyncio.Task[Image]] = {}

    async def pull(self, reference: str, auth: RegistryAuth | None) -> Image:
        """The image of ``reference``; raises what the pull raises."""
        key = (reference, auth.username if auth else "", auth.password if auth else "")
        pulling = self._under_way.get(key)
        if pulling is None:
            pulling = self._under_way[key] = asyncio.create_task(self._pull(reference, auth))
            pulling.add_done_callback(lambda _: self._under_way.pop(key, None))
        # One waiter that gives up does not end the others' pull.
        return await asyncio.shield(pulling)
