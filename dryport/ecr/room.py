"""ECR as the control plane sees it."""

from __future__ import annotations

from dryport.control.context import Context, Room
from dryport.ecr import api
from dryport.ecr.collector import Collector
from dryport.ecr.contents import Contents
from dryport.ecr.registry.door import Door
from dryport.ecr.storage import FileBlobs


def room(context: Context) -> Room:
    """The service, the registry under ``/v2/``, and the collector, on blobs in the state directory."""
    contents = Contents(context, FileBlobs(context.config.state_dir / "registry"))
    return Room(
        services=[api.service(contents)],
        loops=[Collector(contents)],
        routes={"/v2/": Door(contents).handle},
    )
