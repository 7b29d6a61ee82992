"""How CloudWatch is plugged in."""

from __future__ import annotations

from dryport.cloudwatch.composites import Composites
from dryport.cloudwatch.controllers import Aging, Evaluation, Intake
from dryport.cloudwatch.storage import MetricStorage
from dryport.control.context import Context, Room
from dryport.gateway.service import Service


def room(context: Context) -> Room:
    """The service on ``<state>/metrics.db``, and its loops."""
    file = MetricStorage(context.config.state_dir / "metrics.db")

    def service() -> Service:
        from dryport.cloudwatch import api

        return api.service(file)

    store, clock = context.store, context.clock
    return Room(
        services={"cloudwatch": service},
        loops=(
            Intake(store, clock, file),
            Aging(clock, file),
            Evaluation(store, clock, file),
            Composites(store, clock),
        ),
    )
