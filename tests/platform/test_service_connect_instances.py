"""Service Connect on EC2 instances: proxies in Docker, in the awsvpc and in the bridge mode, and between them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.fleet import Fleet
from tests.platform.support import EXECUTION_ROLE, Tasks, eventually
from tests.platform.test_service_connect import CURL

pytestmark = pytest.mark.platform

CLUSTER = NAMESPACE = "connected-instances"
WHO = "hostname -i > /www/index.html 2>/dev/null || hostname > /www/index.html"


class Services(Fleet):
    """Services on instances, in a namespace."""

    def serve(self, name: str, mode: str, count: int, script: str, offered: list[dict[str, Any]]) -> None:
        options = {
            "awslogs-group": "/tests/connect",
            "awslogs-region": "us-east-1",
            "awslogs-stream-prefix": "c",
            "awslogs-create-group": "true",
        }
        container = {
            "name": "main",
            "image": self.image,
            "memory": 64,
            "command": ["sh", "-c", script],
            "stopTimeout": 2,
            "portMappings": [{"containerPort": 8080, "name": "web", "appProtocol": "http"}] if offered else [],
            "logConfiguration": {"logDriver": "awslogs", "options": options},
        }
        self.ecs.register_task_definition(
            family=name, networkMode=mode, executionRoleArn=EXECUTION_ROLE, containerDefinitions=[container]
        )
        network = (
            {"networkConfiguration": {"awsvpcConfiguration": {"subnets": self.subnets}}} if mode == "awsvpc" else {}
        )
        self.ecs.create_service(
            cluster=self.cluster,
            serviceName=name,
            taskDefinition=name,
            desiredCount=count,
            launchType="EC2",
            serviceConnectConfiguration={"enabled": True, "services": offered},
            **network,
        )

    @property
    def subnets(self) -> list[str]:
        return [each["SubnetId"] for each in self.ec2.describe_subnets()["Subnets"]]

    def all_running(self, name: str, count: int) -> list[dict[str, Any]]:
        """A service's tasks, once so many run and no others."""

        def probe() -> list[dict[str, Any]] | None:
            arns = self.ecs.list_tasks(cluster=self.cluster, serviceName=name)["taskArns"]
            found = self.ecs.describe_tasks(cluster=self.cluster, tasks=arns)["tasks"] if arns else []
            ready = len(found) == count and all(task["lastStatus"] == "RUNNING" for task in found)
            return list(found) if ready else None

        return eventually(probe, 90)

    def output(self, task: dict[str, Any]) -> list[str]:
        logs = self.platform.client("logs")
        try:
            stream = f"c/main/{task['taskArn'].rpartition('/')[2]}"
            events = logs.get_log_events(logGroupName="/tests/connect", logStreamName=stream, limit=1000)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [each["message"] for each in events]

    def delete(self, *names: str) -> None:
        for name in names:
            self.ecs.delete_service(cluster=self.cluster, service=name, force=True)
        for name in names:
            eventually(
                lambda name=name: (  # type: ignore[misc]
                    self.ecs.describe_services(cluster=self.cluster, services=[name])["services"][0]["status"]
                    == "INACTIVE"
                )
            )


@pytest.fixture(scope="module")
def fleet(platform: Platform, curl_tasks: Tasks) -> Iterator[Services]:
    made = Services(platform, curl_tasks.image, CLUSTER, CLUSTER)
    made.ecs.update_cluster(cluster=CLUSTER, serviceConnectDefaults={"namespace": NAMESPACE})
    everybody = [{"IpProtocol": "tcp", "FromPort": 1024, "ToPort": 65535, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    made.ec2.authorize_security_group_ingress(GroupId=made.group, IpPermissions=everybody)
    yield made


@pytest.fixture(scope="module")
def instance(fleet: Services) -> Iterator[str]:
    made = fleet.launch()["InstanceId"]
    yield made
    fleet.terminate(made)


@pytest.mark.parametrize("mode", ["awsvpc", "bridge"])
def test_tasks_on_instances_reach_each_other_by_aliases(fleet: Services, instance: str, mode: str) -> None:
    count = 2 if mode == "bridge" else 1  # a small instance has few interfaces
    offered = [{"portName": "web", "clientAliases": [{"port": 80, "dnsName": "web"}]}]
    fleet.serve(f"web-{mode}", mode, count, f"mkdir -p /www; {WHO}; httpd -f -p 8080 -h /www", offered)
    # Asks at once: whatever is to lead there must be there before it.
    ask = f"{CURL} -sS -m 5 --retry 0 http://web/ || echo failed"
    fleet.all_running(f"web-{mode}", count)
    fleet.serve(f"ask-{mode}", mode, 1, f"echo first; {ask}; while :; do {ask}; sleep 0.2; done", [])
    try:
        asking = fleet.all_running(f"ask-{mode}", 1)[0]

        def heard() -> list[str]:
            return [line for line in fleet.output(asking) if line != "first"]

        eventually(lambda: len(heard()) > 10 and len(set(heard()[-10:])) == count, 40)
        assert "failed" not in heard(), heard()
        proxy = next(each for each in asking["containers"] if each["name"].startswith("ecs-service-connect-"))
        assert proxy["lastStatus"] == "RUNNING"

        # The agent dies, and another service's task comes meanwhile.
        before = len(heard())
        os.kill(fleet.agent(instance), signal.SIGKILL)
        fleet.inside(instance, "systemctl", "restart", "ecs")
        eventually(lambda: fleet.container_instance(instance)["agentConnected"])
        if mode == "bridge":
            fleet.ecs.update_service(cluster=CLUSTER, service=f"web-{mode}", desiredCount=3)
            fleet.all_running(f"web-{mode}", 3)
            eventually(lambda: len(set(heard()[-10:])) == 3, 40)
        eventually(lambda: len(heard()) > before + 10)
        assert "failed" not in heard()[before:]
    finally:
        fleet.delete(f"ask-{mode}", f"web-{mode}")
    left = fleet.inside(instance, "sh", "-c", "nft list tables | grep dryport_connect; true")
    assert left == ""
