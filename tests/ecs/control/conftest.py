"""A control plane of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.ecs.control.plane import Plane
from tests.ecs.control.simulated import SimulatedAgent

MakeAgent = Callable[..., Awaitable[SimulatedAgent]]


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    made = await Plane(tmp_path).start()
    yield made
    await made.stop()


@pytest.fixture
async def agent(plane: Plane) -> AsyncIterator[MakeAgent]:
    """Makes registered, connected agents: ``await agent(cluster="demo", obedient=False)``."""
    made: list[SimulatedAgent] = []

    async def make(cluster: str = "dryport-fargate", *, obedient: bool = True, **registration: Any) -> SimulatedAgent:
        agent = SimulatedAgent(plane, cluster, obedient=obedient)
        made.append(agent)
        await agent.register(**registration)
        await agent.connect(send_credentials=True)
        return agent

    yield make
    for agent in made:
        await agent.close()
