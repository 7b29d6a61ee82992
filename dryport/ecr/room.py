"""ECR as the control plane sees it."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.ecr.collector import Collector
from dryport.ecr.contents import Contents
from dryport.ecr.registry.door import Door
from dryport.ecr.storage import FileBlobs
from dryport.gateway.service import Service


def room(context: Context) -> Room:
    """The service, the registry under ``/v2/``, and the collector, on blobs in the state directory."""
    contents = Contents(context, FileBlobs(context.config.state_dir / "registry"))

    def service() -> Service:
        from dryport.ecr import api

        return api.service(contents)

    return Room(
        services={"ecr": service},
        loops=[Collector(contents)],
        routes={"/v2/": Door(contents).handle},
    )
