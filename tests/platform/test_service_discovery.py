"""Tasks of services found by name: Cloud Map's private namespaces in a VPC that is really there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.support import Tasks, eventually

pytestmark = pytest.mark.platform

NAMESPACE = "found.test"
SLEEP = f"sleep {10_000_000 + os.getpid()}"  # nobody else's
ASK = """
import json, sys, dns.message, dns.query, dns.rcode
query = dns.message.make_query(sys.argv[1], sys.argv[2])
answer = dns.query.udp(query, "169.254.169.253", timeout=5)
print(json.dumps([dns.rcode.to_text(answer.rcode()), [str(each) for rrset in answer.answer for each in rrset]]))
"""


class Names:
    """A private namespace of the default VPC, and questions asked inside of it."""

    def __init__(self, platform: Platform) -> None:
        self.cloudmap = platform.client("servicediscovery")
        vpcs = platform.client("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        self.vpc_id = vpcs[0]["VpcId"]
        self._network = f"dp{platform.config.id}-{self.vpc_id}"
        made = self.cloudmap.create_private_dns_namespace(Name=NAMESPACE, Vpc=self.vpc_id)
        self.namespace_id = self.done(made)["NAMESPACE"]

    def done(self, answer: dict[str, Any]) -> dict[str, str]:
        """The targets of an operation, once it succeeded."""

        def probe() -> dict[str, Any] | None:
            found: dict[str, Any] = self.cloudmap.get_operation(OperationId=answer["OperationId"])["Operation"]
            assert found["Status"] != "FAIL", found
            return found if found["Status"] == "SUCCESS" else None

        return dict(eventually(probe, 20)["Targets"])

    def service(self, name: str, *kinds: str, **members: Any) -> dict[str, Any]:
        """A new service with records of these types."""
        records = [{"Type": kind, "TTL": 5} for kind in kinds]
        made = self.cloudmap.create_service(
            Name=name, NamespaceId=self.namespace_id, DnsConfig={"DnsRecords": records}, **members
        )
        return dict(made["Service"])

    def ask(self, name: str, kind: str = "A") -> tuple[str, list[str]]:
        """Code and values that the VPC's resolver answers inside its VPC."""
        command = ["ip", "netns", "exec", self._network, sys.executable, "-c", ASK, f"{name}.{NAMESPACE}", kind]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        if done.returncode:
            return "FAILED", [done.stderr]
        code, values = json.loads(done.stdout)
        return code, sorted(values)

    def until(self, name: str, expected: list[str], kind: str = "A") -> None:
        """Wait until these are the values."""
        seen: list[Any] = []

        def probe() -> bool:
            seen[:] = [self.ask(name, kind)]
            return bool(seen[0] == ("NOERROR" if expected else "NXDOMAIN", sorted(expected)))

        try:
            eventually(probe, 60)
        except AssertionError:
            raise AssertionError(f"{name}: {seen}, not {expected}") from None

    def remove(self) -> None:
        """Delete the namespace with its services, once nothing is in them."""
        for service in self.cloudmap.list_services()["Services"]:
            for instance in self.cloudmap.list_instances(ServiceId=service["Id"])["Instances"]:
                self.done(self.cloudmap.deregister_instance(ServiceId=service["Id"], InstanceId=instance["Id"]))
            self.cloudmap.delete_service(Id=service["Id"])
        self.done(self.cloudmap.delete_namespace(Id=self.namespace_id))


@pytest.fixture(scope="module")
def names(tasks: Tasks, platform: Platform) -> Iterator[Names]:
    arn = tasks.run(tasks.define(tasks.container()))[0]  # has the VPC be there
    tasks.until(arn, "RUNNING")
    made = Names(platform)
    yield made
    made.remove()
    tasks.stop(arn)


def address_of(task: dict[str, Any]) -> str:
    details = {each["name"]: each["value"] for each in task["attachments"][0]["details"]}
    return str(details["privateIPv4Address"])


def only_process(command: str) -> int | None:
    """The process that runs a command, once there is but one."""
    found = subprocess.run(["pgrep", "-f", f"^{command}"], capture_output=True, text=True).stdout.split()
    return int(found[0]) if len(found) == 1 else None


class Ecs:
    """A service of ECS's and its tasks."""

    def __init__(self, tasks: Tasks, name: str, definition: str, count: int, **members: Any) -> None:
        self.tasks, self.name = tasks, name
        network = {"awsvpcConfiguration": {"subnets": tasks.subnets[:2], "assignPublicIp": "DISABLED"}}
        self.made = tasks.ecs.create_service(
            serviceName=name,
            taskDefinition=definition,
            desiredCount=count,
            launchType="FARGATE",
            networkConfiguration=network,
            **members,
        )["service"]

    def running(self, count: int) -> list[dict[str, Any]]:
        """Its tasks, once so many run and no others."""

        def probe() -> list[dict[str, Any]] | None:
            arns = self.tasks.ecs.list_tasks(serviceName=self.name)["taskArns"]
            found = self.tasks.ecs.describe_tasks(tasks=arns)["tasks"] if arns else []
            ready = len(found) == count and all(task["lastStatus"] == "RUNNING" for task in found)
            return list(found) or [{}] if ready else None

        return [task for task in eventually(probe, 90) if task]

    def scale(self, count: int) -> None:
        self.tasks.ecs.update_service(service=self.name, desiredCount=count)

    def delete(self) -> None:
        self.tasks.ecs.delete_service(service=self.name, force=True)
        eventually(lambda: self._describe()["status"] == "INACTIVE", 60)  # its tasks have stopped

    def _describe(self) -> dict[str, Any]:
        return dict(self.tasks.ecs.describe_services(services=[self.name])["services"][0])


def test_a_service_is_found_by_name_whatever_becomes_of_its_tasks(
    tasks: Tasks, names: Names, platform: Platform
) -> None:
    registry = names.service("web", "A", HealthCheckCustomConfig={"FailureThreshold": 1})
    given = [{"registryArn": registry["Arn"]}]
    service = Ecs(tasks, "found-web", tasks.define(tasks.container(SLEEP)), 2, serviceRegistries=given)
    try:
        assert service.made["serviceRegistries"] == given
        running = service.running(2)
        names.until("web", [address_of(each) for each in running])
        found = names.cloudmap.list_instances(ServiceId=registry["Id"])["Instances"]
        by_id = {each["Id"]: each["Attributes"] for each in found}
        task = running[0]
        assert by_id[task["taskArn"].rsplit("/")[-1]] == {
            "AWS_INSTANCE_IPV4": address_of(task),
            "AWS_INIT_HEALTH_STATUS": "HEALTHY",
            "ECS_CLUSTER_NAME": "default",
            "ECS_SERVICE_NAME": "found-web",
            "ECS_TASK_DEFINITION_FAMILY": task["taskDefinitionArn"].rsplit("/")[-1].split(":")[0],
            "AVAILABILITY_ZONE": task["availabilityZone"],
            "REGION": "us-east-1",
        }
        lookup = tasks.finish(tasks.container(f"nslookup web.{NAMESPACE}"))
        assert address_of(task) in " ".join(tasks.output(lookup["taskArn"]))

        # More, then fewer.
        service.scale(3)
        names.until("web", [address_of(each) for each in service.running(3)])
        service.scale(1)
        left = service.running(1)
        names.until("web", [address_of(each) for each in left])

        # The task dies, and another one is there instead.
        os.kill(eventually(lambda: only_process(SLEEP), 30), signal.SIGKILL)
        old = address_of(left[0])

        def replaced() -> list[str] | None:
            new = [address_of(each) for each in service.running(1) if each["taskArn"] != left[0]["taskArn"]]
            return new or None

        new = eventually(replaced, 60)
        assert new != [old]
        names.until("web", new)

        # Whoever answers and whoever tells him what are killed too.
        for process in ("host", "control", "host"):
            before = platform.pid(process)
            os.kill(before, signal.SIGKILL)
            eventually(lambda process=process, before=before: platform.pid(process) != before, 30)  # type: ignore[misc]
            names.until("web", new)
        service.scale(0)
        names.until("web", [])
    finally:
        service.delete()
    names.cloudmap.delete_service(Id=registry["Id"])


def test_srv_records_lead_to_the_tasks_ports(tasks: Tasks, names: Names) -> None:
    registry = names.service("api", "SRV")
    definition = tasks.define(tasks.container(portMappings=[{"containerPort": 8080}]))
    given = [{"registryArn": registry["Arn"], "containerName": "main", "containerPort": 8080}]
    service = Ecs(tasks, "found-api", definition, 1, serviceRegistries=given)
    try:
        task = service.running(1)[0]
        target = f"{task['taskArn'].rsplit('/')[-1]}.api"
        names.until("api", [f"1 1 8080 {target}.{NAMESPACE}."], "SRV")
        assert names.ask(target) == ("NOERROR", [address_of(task)])
        assert names.ask("api") == ("NOERROR", [])
        tasks.ecs.update_service(service="found-api", serviceRegistries=[])
        names.until("api", [], "SRV")
        shown = tasks.ecs.describe_services(services=["found-api"])["services"][0]
        assert shown["serviceRegistries"] == []
    finally:
        service.delete()
    names.cloudmap.delete_service(Id=registry["Id"])


def test_nobody_is_led_to_a_task_that_is_being_stopped(tasks: Tasks, names: Names) -> None:
    registry = names.service("gone", "A")
    script = f"trap 'nslookup gone.{NAMESPACE}; exit 0' TERM; while :; do sleep 1 & wait $!; done"
    definition = tasks.define(tasks.container(script))
    service = Ecs(tasks, "found-gone", definition, 1, serviceRegistries=[{"registryArn": registry["Arn"]}])
    try:
        task = service.running(1)[0]
        names.until("gone", [address_of(task)])
    finally:
        service.delete()
    stopped = tasks.until(task["taskArn"], "STOPPED")
    output = " ".join(tasks.output(task["taskArn"]))
    assert "NXDOMAIN" in output, (output, stopped)
    names.cloudmap.delete_service(Id=registry["Id"])


def test_health_checks_decide_who_is_answered(tasks: Tasks, names: Names) -> None:
    registry = names.service("sick", "A", HealthCheckCustomConfig={"FailureThreshold": 1})
    check = {"command": ["CMD-SHELL", "test -e /tmp/well"], "interval": 5, "retries": 1, "startPeriod": 60}
    script = "sleep 8; touch /tmp/well; sleep 600"
    definition = tasks.define(tasks.container(script, healthCheck=check))
    service = Ecs(tasks, "found-sick", definition, 1, serviceRegistries=[{"registryArn": registry["Arn"]}])
    try:
        task = service.running(1)[0]
        instance = task["taskArn"].rsplit("/")[-1]
        status = names.cloudmap.get_instances_health_status
        eventually(lambda: instance in status(ServiceId=registry["Id"])["Status"], 20)
        assert status(ServiceId=registry["Id"])["Status"][instance] == "UNHEALTHY"
        eventually(lambda: status(ServiceId=registry["Id"])["Status"][instance] == "HEALTHY", 60)
    finally:
        service.delete()
    names.cloudmap.delete_service(Id=registry["Id"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{"registryArn": "arn:aws:servicediscovery:us-east-1:000000000000:service/srv-none"}], "was not found"),
        ([{}], "was not found"),
        (["a", "srv"], "cannot have more than 1"),
        (["srv"], "need containerName and containerPort, or port"),
        ([("srv", {"containerName": "main"})], "must both be specified"),
        ([("srv", {"containerName": "other", "containerPort": 80})], "does not exist in the task definition"),
        ([("srv", {"containerName": "main", "containerPort": 81})], "did not have a container port 81 defined"),
        ([("srv", {"containerName": "main", "containerPort": 80, "port": 80})], "not both"),
    ],
    ids=str,
)
def test_registries_that_cannot_be(tasks: Tasks, names: Names, given: list[Any], message: str) -> None:
    made = {"a": names.service("refused-a", "A"), "srv": names.service("refused-srv", "SRV")}
    try:
        registries = []
        for each in given:
            if isinstance(each, str):
                each = (each, {})
            registries.append(each if isinstance(each, dict) else {"registryArn": made[each[0]]["Arn"], **each[1]})
        definition = tasks.define(tasks.container(portMappings=[{"containerPort": 80}]))
        with pytest.raises(tasks.ecs.exceptions.InvalidParameterException) as caught:
            Ecs(tasks, "refused", definition, 1, serviceRegistries=registries)
        assert message in str(caught.value)
    finally:
        for service in made.values():
            names.cloudmap.delete_service(Id=service["Id"])
