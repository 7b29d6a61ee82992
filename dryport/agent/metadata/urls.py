"""Where a task finds its metadata and credentials, and what is put into its containers' environment for it.

Source: "Amazon ECS task metadata endpoint version 4" and "Task IAM role", developer guide.
"""

from __future__ import annotations

from typing import NamedTuple

from dryport.agent.model import ContainerRecord, TaskRecord
from dryport.agent.settings import Settings
from dryport.aws import arn

ADDRESS = "169.254.170.2"
INSTANCE_METADATA = "169.254.169.254"
PORT = 80
# Where the agent really listens inside a task's namespace; connections to PORT are led there, so that the task's own
# program can bind port 80 on every address.
LISTENER_PORT = 51679
BASE = f"http://{ADDRESS}"


class Injected(NamedTuple):
    """Environment that the agent puts in; ``weak`` loses to the task definition's own."""

    weak: dict[str, str]
    strong: dict[str, str]


def credentials_path(credentials_id: str) -> str:
    """The path of a role's credentials, as ``AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`` holds it."""
    return f"/v2/credentials/{credentials_id}"


def injected_environment(settings: Settings, record: TaskRecord, container: ContainerRecord) -> Injected:
    """What the agent adds to a container's environment."""
    endpoint = settings.task_endpoint or settings.endpoint
    task = arn.parse(record.arn)
    region = task.region if task else settings.region
    weak = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE" if record.payload.fargate else "AWS_ECS_EC2",
    }
    strong = {
        "ECS_CONTAINER_METADATA_URI": f"{BASE}/v3/{container.endpoint_id}",
        "ECS_CONTAINER_METADATA_URI_V4": f"{BASE}/v4/{container.endpoint_id}",
        "ECS_AGENT_URI": f"{BASE}/api/{container.endpoint_id}",
    }
    if record.role_credentials is not None:
        strong["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = credentials_path(record.role_credentials.credentials_id)
    return Injected(weak, strong)
