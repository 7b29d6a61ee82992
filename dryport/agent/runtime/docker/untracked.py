"""What is on a Docker daemon and is not the agent's: goes too where ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP says so."""

from __future__ import annotations

from collections.abc import Callable, Collection

from dryport.agent.runtime.docker.connection import Connection, failures
from dryport.agent.runtime.docker.spec import INSTANCE_LABEL

_OVER = ("exited", "dead", "created")


class Untracked:
    """Implements ``image_gc.Untracked``. Images of the ``excluded`` names are never told of."""

    def __init__(self, connection: Connection, excluded: Collection[str], at: Callable[[str], float | None]) -> None:
        """``at`` reads Docker's time stamps."""
        self._connection = connection
        self._excluded = set(excluded)
        self._at = at

    async def images(self) -> dict[str, float]:
        """See ``image_gc.Untracked``."""
        with failures("DockerTimeoutError"):
            listed = await self._connection.docker.images.list()
        return {
            image["Id"]: float(image["Created"])
            for image in listed
            if not self._excluded & {*(image.get("RepoTags") or ()), image["Id"]}
        }

    async def remove_containers(self, before: float) -> None:
        """See ``image_gc.Untracked``. One that never ran counts from when it was made."""
        with failures("DockerTimeoutError"):
            filters = {"status": list(_OVER)}
            listed = await self._connection.docker.containers.list(all=True, filters=filters)
        for container in listed:
            if INSTANCE_LABEL in container["Labels"]:
                continue
            with failures("CannotRemoveContainerError", missing_ok=True, conflict_ok=True):
                seen = await container.show()
                ended = self._at(seen["State"]["FinishedAt"]) or self._at(seen["Created"])
                if ended is not None and ended < before:
                    await container.delete(v=True)
