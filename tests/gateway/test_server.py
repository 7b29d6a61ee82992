"""The running server, met by boto3 and by plain sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Service
from tests.gateway.conftest import Start, in_thread, room


def ecs() -> Service:
    service = Service("ecs")

    @service.operation("ListClusters", unsupported=("maxResults",))
    def list_clusters(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"clusterArns": [f"arn:aws:ecs:{call.region}:{call.account}:cluster/{request.get('nextToken', '')}"]}

    @service.operation("DescribeTasks")
    async def describe_tasks(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        raise ServiceError("ClusterNotFoundException", "Cluster not found.")

    @service.operation("StopTask")
    def stop_task(call: Call, request: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("a secret detail")

    return service


async def test_a_boto3_client_is_answered(start: Start) -> None:
    running = await start(room(ecs()))
    client = running.client("ecs")
    answer = await in_thread(client.list_clusters, nextToken="x")
    assert answer["clusterArns"] == ["arn:aws:ecs:eu-west-3:000000000000:cluster/x"]
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36


@pytest.mark.parametrize(
    ("operation", "parameters", "code", "status"),
    [
        ("describe_tasks", {"tasks": ["a"]}, "ClusterNotFoundException", 400),
        ("stop_task", {"task": "a"}, "InternalFailure", 500),
        ("list_clusters", {"maxResults": 5}, "NotImplemented", 501),
        ("list_services", {}, "NotImplemented", 501),
    ],
)
async def test_refusals(start: Start, operation: str, parameters: dict[str, Any], code: str, status: int) -> None:
    running = await start(room(ecs()))
    client = running.client("ecs")
    with pytest.raises(ClientError) as refusal:
        await in_thread(getattr(client, operation), **parameters)
    response = refusal.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert "secret" not in json.dumps(response["Error"])
