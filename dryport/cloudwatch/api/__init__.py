"""CloudWatch's API: a module a resource."""

from __future__ import annotations

from dryport.cloudwatch.api import alarms, history, metrics, statistics, tags
from dryport.cloudwatch.storage import MetricStorage
from dryport.gateway.service import Service


def service(file: MetricStorage) -> Service:
    """The service, on a file of metrics."""
    made = Service("cloudwatch")
    metrics.register(made, file)
    statistics.register(made, file)
    alarms.register(made)
    history.register(made, file)
    tags.register(made)
    return made
