"""How ECS is plugged into the control plane."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.ecs.acs.hub import Hub
from dryport.ecs.api import SERVICE
from dryport.ecs.api.explain import DRYPORT
from dryport.ecs.controllers.instances import InstanceController
from dryport.ecs.controllers.mounts import Mounts, Remounts
from dryport.ecs.controllers.services import ServiceController
from dryport.ecs.controllers.task_definitions import TaskDefinitionController
from dryport.ecs.controllers.tasks import TaskController
from dryport.host.client import HostClient


def room(context: Context) -> Room:
    """ECS: its API, its loops, the agents' websockets."""
    hub = Hub(context)
    driver = HostClient(context.config.run_dir / "host.sock")
    mounts = Mounts(context.store, context.clock, driver)
    return Room(
        services=[SERVICE, DRYPORT],
        loops=[
            hub,
            TaskController(context),
            InstanceController(context.store, context.clock),
            ServiceController(context),
            TaskDefinitionController(context.store, context.clock),
            mounts,
            Remounts(context.clock, driver, mounts),
        ],
        sockets={"/acs/ws": hub.acs, "/tcs/ws": hub.tcs},
    )
