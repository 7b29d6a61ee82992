"""Functions of lifecycle hooks, which answer after a while, and not always what one would like."""

from __future__ import annotations

import json
from random import Random

from dryport.control.clock import Clock
from dryport.ecs.invoking import NotInvoked

_ANSWERS = ("SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "IN_PROGRESS", "IN_PROGRESS", "FAILED", "")


class SimulatedFunctions:
    """An ``Invoker``."""

    configured = True

    def __init__(self, random: Random, clock: Clock) -> None:
        self._random = random
        self._clock = clock

    async def invoke(self, role_arn: str, function_arn: str, payload: bytes) -> bytes:
        """By chance what a function may answer, or none."""
        asked = json.loads(payload)
        assert asked["lifecycleStage"] and asked["executionDetails"]["targetServiceRevisionArn"], asked
        await self._clock.sleep(self._random.uniform(0.01, 3.0))
        status = self._random.choice(_ANSWERS)
        if not status:
            raise NotInvoked(f"{function_arn} does not answer {role_arn}")
        return json.dumps({"hookStatus": status, "callBackDelay": self._random.choice((0, 5, 30))}).encode()

    async def close(self) -> None:
        """Nothing is held."""
