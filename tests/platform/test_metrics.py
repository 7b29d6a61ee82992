"""Services' own metrics in CloudWatch, of containers that run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.platform.support import EXECUTION_ROLE, Tasks, eventually

pytestmark = pytest.mark.platform


def points(tasks: Tasks, namespace: str, name: str, dimensions: dict[str, str], *statistics: str) -> list[Any]:
    """The data points of the last ten minutes."""
    now = datetime.now(UTC)
    answer = tasks.platform.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=list(statistics),
    )
    return sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])


def test_a_busy_service_is_seen_to_be_busy(tasks: Tasks) -> None:
    cli = tasks.platform.cli
    subnet = tasks.platform.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    tasks.ecs.register_task_definition(
        family="busy", networkMode="awsvpc", cpu="256", memory="512", requiresCompatibilities=["FARGATE"],
        executionRoleArn=EXECUTION_ROLE, containerDefinitions=[tasks.container("while :; do :; done")],
    )  # fmt: skip
    cli(
        "ecs", "create-service", "--service-name", "busy", "--task-definition", "busy", "--desired-count", "1",
        "--launch-type", "FARGATE", "--network-configuration", f"awsvpcConfiguration={{subnets=[{subnet}]}}",
    )  # fmt: skip
    dimensions = {"ClusterName": "default", "ServiceName": "busy"}
    try:

        def full() -> list[Any]:
            found = points(tasks, "AWS/ECS", "CPUUtilization", dimensions, "Average", "SampleCount")
            return [point for point in found if point["Average"] > 60]

        point = eventually(full, seconds=200)[0]
        assert (point["SampleCount"], point["Unit"]) == (1.0, "Percent")
        assert point["Average"] < 130, "it may use a quarter of a CPU"
        [memory] = points(tasks, "AWS/ECS", "MemoryUtilization", dimensions, "Average")[-1:]
        assert 0 <= memory["Average"] < 10
    finally:
        cli("ecs", "delete-service", "--service", "busy", "--force")
        cli("ecs", "wait", "services-inactive", "--services", "busy")
