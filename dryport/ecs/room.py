"""How ECS is plugged into the control plane."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.ecs.acs.hub import Hub
from dryport.ecs.connect.controller import Releases
from dryport.ecs.controllers.hooks import Hooks
from dryport.ecs.controllers.instances import InstanceController
from dryport.ecs.controllers.mounts import Mounts, Remounts
from dryport.ecs.controllers.registrations import Registrations
from dryport.ecs.controllers.services import ServiceController
from dryport.ecs.controllers.task_definitions import TaskDefinitionController
from dryport.ecs.controllers.tasks import TaskController
from dryport.ecs.controllers.utilization import Utilization
from dryport.ecs.invoking import Forwarded
from dryport.gateway.service import Service
from dryport.host.client import HostClient


def _service() -> Service:
    from dryport.ecs.api import SERVICE

    return SERVICE


def _dryport() -> Service:
    from dryport.ecs.api.explain import DRYPORT

    return DRYPORT


def room(context: Context) -> Room:
    """ECS: its API, its loops, the agents' websockets."""
    hub = Hub(context)
    driver = HostClient(context.config.run_dir / "host.sock")
    mounts = Mounts(context.store, context.clock, driver)
    return Room(
        services={"ecs": _service, "dryport": _dryport},
        loops=[
            hub,
            TaskController(context),
            Utilization(context, hub.telemetry),
            InstanceController(context.store, context.clock),
            ServiceController(context),
            Hooks(context, Forwarded(context)),
            Registrations(context),
            Releases(context.store, context.clock),
            TaskDefinitionController(context.store, context.clock),
            mounts,
            Remounts(context.clock, driver, mounts),
        ],
        sockets={"/acs/ws": hub.acs, "/tcs/ws": hub.tcs},
    )
