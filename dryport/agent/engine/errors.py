"""Why a task or container could not go on, in ECS's words."""

from __future__ import annotations

from dryport.client import ApiError, Unreachable

RESOURCE = "ResourceInitializationError"
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


class TaskFailure(Exception):
    """The task cannot start; the text is its stopped reason (``ResourceInitializationError: …``)."""


def because(error: ApiError | Unreachable) -> str:
    """What an API said, as AWS's agents quote it."""
    return (
        f"{error.code}: {error.message}"
        if isinstance(error, ApiError)
        else f"RequestError: send request failed caused by: {error}"
    )


def retrieval(what: str, why: str) -> TaskFailure:
    """Secrets or registry credentials could not be fetched. Source: "Amazon ECS: ResourceInitializationError"."""
    return TaskFailure(
        f"{RESOURCE}: unable to pull secrets or registry auth: execution resource retrieval failed: "
        f"unable to retrieve {what}: service call has been retried 1 time(s): {why}"
    )
