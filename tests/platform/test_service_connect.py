"""Service Connect on Fargate: services that reach each other by aliases, through a proxy in each task."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import Platform
from tests.platform.support import Tasks, eventually
from tests.platform.test_metrics import points
from tests.platform.test_service_discovery import Ecs, address_of

pytestmark = pytest.mark.platform

NAMESPACE = "connected"
CURL = "/usr/bin/curl"
# Says who answers: its own address.
WEB = "mkdir -p /www; hostname -i > /www/index.html 2>/dev/null || hostname > /www/index.html; httpd -f -p 8080 -h /www"


@pytest.fixture(scope="module")
def tasks(curl_tasks: Tasks) -> Tasks:
    return curl_tasks


@pytest.fixture(scope="module")
def namespace(platform: Platform) -> Iterator[str]:
    """A namespace that a cluster's default has made."""
    ecs = platform.client("ecs")
    ecs.create_cluster()
    made = ecs.update_cluster(cluster="default", serviceConnectDefaults={"namespace": NAMESPACE})["cluster"]
    arn = made["serviceConnectDefaults"]["namespace"]
    yield arn
    ecs.update_cluster(cluster="default", serviceConnectDefaults={"namespace": ""})
    platform.client("servicediscovery").delete_namespace(Id=arn.rpartition("/")[2])


def server(tasks: Tasks, name: str, count: int, alias: str, script: str = WEB, **port: Any) -> Ecs:
    """A service that offers its port 8080 under an alias at port 80."""
    mapping = {"containerPort": 8080, "name": "web", "appProtocol": "http", **port}
    definition = tasks.define(tasks.container(script, portMappings=[mapping]))
    offered = {"portName": "web", "discoveryName": alias, "clientAliases": [{"port": 80, "dnsName": alias}]}
    return Ecs(tasks, name, definition, count, serviceConnectConfiguration={"enabled": True, "services": [offered]})


def client(tasks: Tasks, name: str, script: str) -> Ecs:
    """A service that is a client in the namespace."""
    return Ecs(tasks, name, tasks.define(tasks.container(script)), 1, serviceConnectConfiguration={"enabled": True})


def kill_container(task: dict[str, Any], name: str = "main") -> None:
    """Kill the first process of a container."""
    runtime_id = next(each["runtimeId"] for each in task["containers"] if each["name"] == name)
    found = subprocess.run(["pgrep", "-f", f"conmon.*{runtime_id}"], capture_output=True, text=True).stdout.split()
    children = subprocess.run(["pgrep", "-P", found[0]], capture_output=True, text=True).stdout.split()
    os.kill(int(children[0]), signal.SIGKILL)


class Asking:
    """A client service whose only task asks again and again, and what it has heard."""

    def __init__(self, tasks: Tasks, name: str, command: str = f"{CURL} -sS -m 5 http://web/") -> None:
        self.tasks = tasks
        script = f"while :; do {command} || echo failed; sleep 0.05; done"
        self.service = client(tasks, name, script)
        self.task = self.service.running(1)[0]
        self._from = 0

    def mark(self) -> None:
        """Look at what is heard from now on."""
        self._from = len(self.tasks.output(self.task["taskArn"]))

    def heard(self) -> list[str]:
        return self.tasks.output(self.task["taskArn"])[self._from :]

    def until(self, servers: list[dict[str, Any]]) -> None:
        """Wait until all of these answer, and no others."""
        wanted = {address_of(each) for each in servers}
        seen: list[set[str]] = []

        def probe() -> bool:
            seen[:] = [set(self.heard()[-20:])]
            return seen[0] == wanted

        try:
            eventually(probe, 30)
        except AssertionError:
            raise AssertionError(f"{seen[0]} answered, not {wanted}") from None


def test_a_client_reaches_all_of_a_services_tasks_by_its_alias(
    tasks: Tasks, namespace: str, platform: Platform
) -> None:
    cloudmap = platform.client("servicediscovery")
    web = server(tasks, "connect-web", 2, "web")
    asking = Asking(tasks, "connect-ask")
    try:
        servers = web.running(2)
        asking.until(servers)
        asking.mark()
        heard = eventually(lambda: asking.heard()[19:] and asking.heard(), 30)[:20]
        assert {heard.count(address_of(each)) for each in servers} == {10}  # round robin

        # What it is made of, as AWS shows it.
        proxy = next(each for each in asking.task["containers"] if each["name"].startswith("ecs-service-connect-"))
        assert proxy["lastStatus"] == "RUNNING"
        assert proxy["runtimeId"]
        shown = {each["type"]: each for each in asking.task["attachments"]}["Service Connect"]
        assert shown["details"] == [{"name": "ContainerName", "value": proxy["name"]}]
        found = cloudmap.discover_instances(NamespaceName=NAMESPACE, ServiceName="web")["Instances"]
        deployment = web._describe()["deployments"][0]
        task = servers[0]
        assert {each["InstanceId"]: each["Attributes"] for each in found}[task["taskArn"].rpartition("/")[2]] == {
            "AWS_INSTANCE_IPV4": address_of(task),
            "AWS_INSTANCE_PORT": "8080",
            "AvailabilityZone": task["availabilityZone"],
            "DeploymentId": deployment["id"].rpartition("/")[2],
        }
        assert deployment["serviceConnectConfiguration"]["namespace"] == namespace
        assert [each["discoveryName"] for each in deployment["serviceConnectResources"]] == ["web"]

        # More of them, then fewer.
        asking.mark()
        web.scale(3)
        asking.until(web.running(3))
        web.scale(2)
        servers = web.running(2)
        asking.until(servers)
        assert "failed" not in asking.heard()

        # A server dies: who asks is answered by the other one meanwhile.
        asking.mark()
        kill_container(servers[0])
        eventually(lambda: web.running(2) and servers[0]["taskArn"] not in [x["taskArn"] for x in web.running(2)], 60)
        asking.until(web.running(2))
        assert asking.heard().count("failed") <= 1  # what it was asked at that moment

        # An agent that is killed takes no proxy with it, and the next one tells them what is new.
        asking.mark()
        before = platform.pid("agent")
        os.kill(before, signal.SIGKILL)
        web.scale(1)
        eventually(lambda: platform.pid("agent") not in (None, before), 30)
        asking.until(web.running(1))
        assert "failed" not in asking.heard()

        # A deployment loses no request.
        tasks.ecs.update_service(service="connect-web", forceNewDeployment=True)
        eventually(lambda: web._describe()["deployments"][0]["rolloutState"] == "COMPLETED", 90)
        asking.until(web.running(1))
        assert "failed" not in asking.heard()
    finally:
        asking.service.delete()
        web.delete()
    eventually(lambda: not cloudmap.list_services()["Services"], 30)


def test_a_deployment_shifts_the_traffic_of_an_alias(tasks: Tasks, namespace: str) -> None:
    """Who marks his requests is answered by green first; then everybody is, and no request fails."""
    ecs = tasks.ecs
    mapping = {"containerPort": 8080, "name": "web", "appProtocol": "http"}
    definition = tasks.define(tasks.container(WEB, portMappings=[mapping]))
    rule = {"header": {"name": "x-preview", "value": {"exact": "yes"}}}
    alias = {"port": 80, "dnsName": "shifted", "testTrafficRules": rule}
    offered = {"portName": "web", "discoveryName": "shifted", "clientAliases": [alias]}
    connect = {"enabled": True, "services": [offered]}
    configuration: dict[str, Any] = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0}
    web = Ecs(
        tasks, "connect-shift", definition, 2,
        serviceConnectConfiguration=connect, deploymentConfiguration=configuration,
    )  # fmt: skip

    def deployment() -> dict[str, Any]:
        return dict(web._describe()["deployments"][0])

    def of(deployment_id: str, count: int) -> list[dict[str, Any]]:
        return [each for each in web.running(count) if each["startedBy"] == deployment_id]

    def go_on() -> None:
        listed = ecs.list_service_deployments(service="connect-shift")["serviceDeployments"][0]["serviceDeploymentArn"]
        found = ecs.describe_service_deployments(serviceDeploymentArns=[listed])["serviceDeployments"][0]
        hooks = [each for each in found.get("lifecycleHookDetails", ()) if each["status"] == "AWAITING_ACTION"]
        assert hooks
        ecs.continue_service_deployment(serviceDeploymentArn=listed, hookId=hooks[0]["hookId"])

    asking = testing = None
    try:
        eventually(lambda: deployment()["rolloutState"] == "COMPLETED", 90)
        curl = f"{CURL} -sS -m 5 http://shifted/"
        asking = Asking(tasks, "connect-shift-ask", curl)
        testing = Asking(tasks, "connect-shift-test", f"{curl} -H 'X-Preview: yes'")
        blue = web.running(2)
        asking.until(blue)
        asking.mark()
        hook = {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}
        ecs.update_service(
            service="connect-shift", forceNewDeployment=True, deploymentConfiguration={"lifecycleHooks": [hook]}
        )
        green = eventually(lambda: of(deployment()["id"], 4), 90)
        testing.until(green)
        heard = {*asking.heard()}
        assert heard == {address_of(each) for each in blue}
        eventually(lambda: _went_on(go_on), 30)
        asking.until(green)
        eventually(lambda: deployment()["rolloutState"] == "COMPLETED", 90)
        assert "failed" not in asking.heard() and {*asking.heard()[-20:]} == {address_of(each) for each in green}

        # A share of it, as a canary gets.
        hook["lifecycleStages"] = ["PRE_PRODUCTION_TRAFFIC_SHIFT"]
        canary = {"canaryPercent": 25.0, "canaryBakeTimeInMinutes": 0}
        asked = {"strategy": "CANARY", "canaryConfiguration": canary, "lifecycleHooks": [hook]}
        asking.mark()
        ecs.update_service(service="connect-shift", forceNewDeployment=True, deploymentConfiguration=asked)
        newest = eventually(lambda: of(deployment()["id"], 4), 90)
        testing.until(newest)
        eventually(lambda: _went_on(go_on), 30)
        asking.until([*green, *newest])
        asking.mark()
        heard_now = eventually(lambda: asking.heard()[79:] and asking.heard(), 30)[:80]
        share = sum(heard_now.count(address_of(each)) for each in newest) / 80
        assert 0.2 <= share <= 0.3, share
        eventually(lambda: _went_on(go_on), 30)
        asking.until(newest)
        eventually(lambda: deployment()["rolloutState"] == "COMPLETED", 90)
        assert "failed" not in asking.heard()
    finally:
        for each in (asking, testing):
            if each is not None:
                each.service.delete()
        web.delete()


def _went_on(go_on: Callable[[], None]) -> bool:
    try:
        go_on()
    except AssertionError:
        return False  # it is not there yet
    return True


def test_proxies_keep_to_ports_groups_and_timeouts(tasks: Tasks, namespace: str, platform: Platform) -> None:
    ec2 = platform.client("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    group = ec2.create_security_group(GroupName="connected", Description="d", VpcId=vpc)["GroupId"]
    mappings = [
        {"containerPort": 8080, "name": "web", "appProtocol": "http"},
        {"containerPort": 8081, "name": "plain"},  # TCP
        {"containerPort": 8082, "name": "slow", "appProtocol": "http"},
    ]
    # What listens at 8082 never answers.
    script = f"nc -ll -p 8082 -e /bin/sleep 60 & httpd -p 8081 -h /www; {WEB}"
    offered = [
        {"portName": "web", "ingressPortOverride": 9000, "clientAliases": [{"port": 80, "dnsName": "web"}]},
        {"portName": "plain", "discoveryName": "over-tcp", "clientAliases": [{"port": 80}]},
        {
            "portName": "slow",
            "clientAliases": [{"port": 80, "dnsName": "slow"}],
            "timeout": {"perRequestTimeoutSeconds": 1},
        },
    ]
    logging = tasks.container()["logConfiguration"]
    definition = tasks.define(tasks.container(script, portMappings=mappings))
    configuration = {"enabled": True, "services": offered, "logConfiguration": logging}
    service = Ecs(tasks, "connect-ports", definition, 1, serviceConnectConfiguration=configuration)
    network = {"awsvpcConfiguration": {"subnets": tasks.subnets[:1], "securityGroups": [group]}}
    tasks.ecs.update_service(service="connect-ports", networkConfiguration=network)
    # The client itself listens at the port of the aliases.
    mute = "-s -o /dev/null -m 10 -w %{http_code}"
    ask = "; ".join(f"echo {host} $({CURL} {mute} http://{host}/)" for host in ("web", f"over-tcp.{NAMESPACE}", "slow"))
    asker = client(
        tasks, "connect-port-80", f"httpd -p 80 -h /; while :; do {ask}; {CURL} -sS http://late/; sleep 1; done"
    )
    try:
        eventually(lambda: service._describe()["deployments"][0]["rolloutState"] == "COMPLETED", 120)
        asking, task = asker.running(1)[0], service.running(1)[0]

        def heard() -> list[str]:
            return tasks.output(asking["taskArn"])

        def until(*lines: str) -> None:
            try:
                eventually(lambda: set(lines) <= set(heard()[-8:]), 40)
            except AssertionError:
                raise AssertionError(f"{lines} not in {heard()[-8:]}") from None

        until("web 503", f"over-tcp.{NAMESPACE} 000")  # the group lets nobody in
        rule = {"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{**rule, "FromPort": 9000, "ToPort": 9000}])
        until("web 200", f"over-tcp.{NAMESPACE} 000")
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{**rule, "FromPort": 8081, "ToPort": 8082}])
        until("web 200", f"over-tcp.{NAMESPACE} 200", "slow 504")

        # What the proxy says is logged; an alias that comes later is not for tasks that are there.
        proxy = next(each["name"] for each in task["containers"] if each["name"].startswith("ecs-service-connect-"))
        assert tasks.output(task["taskArn"], proxy)
        late = server(tasks, "connect-late", 1, "late")
        late.running(1)
        assert any("Could not resolve host: late" in line for line in heard()[-8:])
        tasks.ecs.update_service(service="connect-port-80", forceNewDeployment=True)
        eventually(lambda: asker._describe()["deployments"][0]["rolloutState"] == "COMPLETED", 90)
        asking = asker.running(1)[0]
        until(address_of(late.running(1)[0]))
        late.delete()
    finally:
        asker.delete()
        service.delete()
    eventually(lambda: not platform.client("servicediscovery").list_services()["Services"], 30)
    eventually(lambda: ec2.delete_security_group(GroupId=group) or True, 30)


def test_what_proxies_count_is_in_cloudwatch(tasks: Tasks, namespace: str) -> None:
    # By a name that no other service has had: what has been counted by it is this service's alone.
    web = server(tasks, "connect-counted", 2, "counted")
    asking = Asking(tasks, "connect-counting", f"{CURL} -sS -m 5 http://counted/")
    own = {"ClusterName": "default", "ServiceName": "connect-counted", "DiscoveryName": "counted"}
    targets = {"TargetDiscoveryName": "counted"}
    try:
        asking.until(web.running(2))

        def whole(name: str, dimensions: dict[str, str], *statistics: str) -> Any:
            """The second minute's data point, which is a whole one."""
            return eventually(lambda: points(tasks, "AWS/ECS", name, dimensions, *statistics)[1:2], 240)[0]

        requests = whole("RequestCount", own, "Sum", "SampleCount")
        assert requests["SampleCount"] == 2  # tasks
        assert requests["Sum"] > 60
        each = whole("RequestCountPerTarget", targets, "Average")["Average"]
        assert each == pytest.approx(requests["Sum"] / 2)
        assert whole("HTTPCode_Target_2XX_Count", targets, "Sum")["Sum"] == pytest.approx(requests["Sum"], abs=4)
        assert whole("HTTPCode_Target_5XX_Count", targets, "Sum")["Sum"] == 0
        assert whole("NewConnectionCount", {"DiscoveryName": "counted"}, "Sum")["Sum"] > 0
        assert whole("ProcessedBytes", own, "Sum")["Sum"] > 60 * requests["Sum"]
        time = whole("TargetResponseTime", targets, "Average")
        assert (time["Unit"], 0 <= time["Average"] < 1000) == ("Milliseconds", True)
    finally:
        asking.service.delete()
        web.delete()
