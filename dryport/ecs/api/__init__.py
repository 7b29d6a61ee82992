"""ECS's API: a module a resource, a handler an operation, all registered on ``SERVICE``."""

from dryport.gateway.service import Service

SERVICE = Service("ecs")

# Imported for their handlers; each takes SERVICE from here, so they follow it.
from dryport.ecs.api import (  # noqa: E402, F401
    account_settings,
    agents,
    attributes,
    clusters,
    instances,
    protection,
    registration,
    run_task,
    service_deployments,
    services,
    start_task,
    tags,
    task_definitions,
    task_sets,
    tasks,
)
