"""Service Connect's plans and metrics, without any effect."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from dryport.ecs.connect import metrics, proxy, traffic
from dryport.ecs.connect.configuration import Endpoint
from dryport.ecs.connect.proxy import Offered
from dryport.ecs.model import Task
from dryport.ecs.services.model import Back, Deployment, Progress, Service

ENDPOINTS = st.builds(
    Endpoint,
    port_name=st.sampled_from("abc"),
    discovery_name=st.sampled_from("abc"),
    alias=st.sampled_from(["web", "shop", "db"]),
    alias_port=st.integers(80, 82),
    container=st.just("main"),
    port=st.integers(1, 65535),
    protocol=st.sampled_from(["tcp", "http"]),
    ingress=st.sampled_from([0, 9000, 61001]),
    idle=st.just(300),
    per_request=st.just(15),
)
OFFERED = st.lists(ENDPOINTS.map(lambda each: Offered(each, f"srv-{each.discovery_name}")), max_size=6)


def body(mode: str, *ports: int) -> dict[str, Any]:
    mappings = [{"containerPort": port} for port in ports]
    return {"networkMode": mode, "containerDefinitions": [{"name": "main", "portMappings": mappings}]}


@given(OFFERED, OFFERED, st.sampled_from(["awsvpc", "bridge"]))
def test_a_plan_has_a_port_for_everything_and_each_alias_once(
    own: list[Offered], offered: list[Offered], mode: str
) -> None:
    taken = (8080, 61002)
    plan = proxy.plan("ecs-service-connect-abcde", "ns", own, offered, body(mode, *taken), 7)
    aliases = [(each["alias"], each["port"]) for each in plan["egress"]]
    assert len(set(aliases)) == len(aliases)
    assert set(aliases) == {(each.endpoint.alias, each.endpoint.alias_port) for each in offered}
    addresses = {each["alias"]: each["address"] for each in plan["egress"]}
    assert len(set(addresses.values())) == len(addresses)  # a name has one address, and nobody else has it
    listeners = [each["listener"] for each in (*plan["ingress"], *plan["egress"])]
    named = [each.endpoint.ingress for each in own if each.endpoint.ingress and mode == "awsvpc"]
    chosen = [each for each in listeners if each not in named]
    assert len(set(chosen)) == len(listeners) - len(named)
    assert not set(taken) & set(chosen)
    for each, made in zip(own, plan["ingress"], strict=True):
        assert made["intercepted"] == (mode == "awsvpc" and not each.endpoint.ingress)


def told(dimension: str, **values: tuple[float, int]) -> dict[str, Any]:
    return {
        "dimensions": [{"key": dimension, "value": "web"}],
        "generalMetrics": [
            {"metricName": name, "metricValues": [value], "metricCounts": [count]}
            for name, (value, count) in values.items()
        ],
    }


def test_a_minute_has_a_value_a_task() -> None:
    def task(number: int) -> Task:
        return Task(
            arn=f"arn:aws:ecs:r:1:task/c/{number}",
            cluster_arn="arn:aws:ecs:r:1:cluster/c",
            account="1",
            region="r",
            task_definition_arn="d",
            family="f",
            group="service:web",
        )

    frames = [
        told("DiscoveryName", RequestCount=(3, 1), ActiveConnectionCount=(4, 1), Unknown=(1, 1)),
        told("DiscoveryName", RequestCount=(2, 1), ActiveConnectionCount=(2, 1)),
        told("TargetDiscoveryName", TargetResponseTime=(10, 4)),
        told("TargetDiscoveryName", TargetResponseTime=(20, 1)),
        {"dimensions": [{"key": "Other", "value": "x"}], "generalMetrics": [{"metricName": "RequestCount"}]},
    ]
    one, two = metrics.counted(frames), metrics.counted([told("DiscoveryName", RequestCount=(7, 1))])
    made = metrics.data([(task(1), one), (task(2), two)], 60.0)[("1", "r")]
    found = {(each.name, len(each.dimensions)): each for each in made}
    assert {name for name, _ in found} == {"RequestCount", "ActiveConnectionCount", "TargetResponseTime"}
    requests = found["RequestCount", 3]
    assert requests.dimensions == [("ClusterName", "c"), ("ServiceName", "web"), ("DiscoveryName", "web")]
    assert (requests.count, requests.total, requests.low, requests.high) == (2, 12, 5, 7)
    assert found["RequestCount", 1].dimensions == [("DiscoveryName", "web")]
    assert found["ActiveConnectionCount", 1].total == 3
    slow = found["TargetResponseTime", 1]
    assert (slow.count, slow.total, slow.low, slow.high, slow.unit) == (5, 60, 10, 20, "Milliseconds")


A, B, C = (traffic.Place(f"10.0.0.{number}", 80, name) for number, name in ((1, "blue"), (2, "blue"), (3, "green")))


def in_progress(**members: Any) -> Service:
    """A service whose deployment ``green`` takes the place of ``blue``."""
    progress = Progress(**{"strategy": "CANARY", "stage": "SCALE_UP", "since": 0.0, "shares": [100.0], **members})
    green = Deployment(
        id="ecs-svc/green", revision_arn="r", service_deployment_arn="d", task_definition_arn="t", desired_count=1,
        created_at=0.0, updated_at=0.0, rollout_reason="", progress=progress,
    )  # fmt: skip
    return cast(Service, SimpleNamespace(deployments=[green], primary=green))


def led(service: Service | None, *, test: bool = False) -> dict[str, int]:
    found = traffic.weighed([A, B, C], traffic.shares(service, test=test))
    return {str(address).rpartition(".")[2]: int(weight) for address, _, weight in found}


def test_traffic_goes_where_deployments_shift_it() -> None:
    alike = {"1": 1, "2": 1, "3": 1}
    assert led(None) == alike == led(None, test=True)
    blue = "ecs-svc/blue"
    assert led(in_progress(blue=blue)) == {"1": 1, "2": 1} == led(in_progress(blue=blue), test=True)
    tested = in_progress(blue=blue, test=100.0)
    assert (led(tested), led(tested, test=True)) == ({"1": 1, "2": 1}, {"3": 1})
    canary = in_progress(blue=blue, test=100.0, production=25.0)
    assert led(canary) == {"1": 256, "2": 256, "3": 171}  # 37.5 %, 37.5 %, 25 %
    assert led(in_progress(blue=blue, test=100.0, production=100.0)) == {"3": 1}
    assert led(in_progress()) == alike  # the first one: nobody else has any
    back = Back(service_deployment_arn="d", revision_arn="r")
    assert led(in_progress(back=back, production=100.0, test=100.0)) == {"3": 1}


@given(st.lists(st.sampled_from([A, B, C]), unique=True), st.floats(0.1, 99.9))
def test_weights_are_what_haproxy_takes(places: list[traffic.Place], share: float) -> None:
    found = traffic.weighed(places, {"green": share, "blue": 100.0 - share})
    assert [each[:2] for each in found] == [[place.address, place.port] for place in places]
    assert all(1 <= int(weight) <= 256 for *_, weight in found)
