"""Service Connect's configuration at the API: what is kept, shown and refused, and its names in Cloud Map."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from dryport.servicediscovery import model
from tests.ecs.api.conftest import Ecs
from tests.served import refusal

PORTS = [
    {"containerPort": 8080, "name": "web", "appProtocol": "http"},
    {"containerPort": 5432, "name": "database"},
    {"containerPort": 53, "name": "names", "protocol": "udp"},
]
_numbers = itertools.count(1)


def offered(port: str = "web", **members: Any) -> dict[str, Any]:
    return {"portName": port, "clientAliases": [{"port": 80}], **members}


def create(ecs: Ecs, configuration: dict[str, Any] | None, **members: Any) -> Any:
    """CreateService in the test's cluster; returns its answer's service."""
    request: dict[str, Any] = {
        "cluster": ecs.name,
        "serviceName": f"service-{next(_numbers)}",
        "taskDefinition": members.pop("taskDefinition", f"family-{ecs.number}"),
        "desiredCount": 0,
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ecs.subnets()}},
        **members,
    }
    if configuration is not None:
        request["serviceConnectConfiguration"] = configuration
    return ecs.client.create_service(**{name: value for name, value in request.items() if value is not None})["service"]


@pytest.fixture
def namespace(ecs: Ecs) -> str:
    """The ARN of a namespace of the test's own, the cluster's default."""
    ecs.define(containerDefinitions=[{"name": "app", "image": "busybox", "portMappings": PORTS}])
    default = {"namespace": f"space-{ecs.number}"}
    made = ecs.client.update_cluster(cluster=ecs.name, serviceConnectDefaults=default)["cluster"]
    arn: str = made["serviceConnectDefaults"]["namespace"]
    return arn


def cloud_map(ecs: Ecs, namespace: str) -> list[str]:
    """The names of a namespace's services."""
    found = ecs.served.context.store.reader.find(model.SERVICES, "namespace", namespace.rpartition("/")[2])
    return sorted(each.name for each in found)


def test_a_clusters_default_namespace(ecs: Ecs) -> None:
    name = f"default-{ecs.number}"
    made = ecs.client.create_cluster(clusterName=name, serviceConnectDefaults={"namespace": name})["cluster"]
    arn = made["serviceConnectDefaults"]["namespace"]
    space = ecs.served.context.store.reader.get(model.NAMESPACES, arn.rpartition("/")[2])
    assert space is not None
    assert (space.name, space.type, space.tags) == (name, "HTTP", {"AmazonECSManaged": "true"})
    again = ecs.client.create_cluster(clusterName=name, serviceConnectDefaults={"namespace": arn})["cluster"]
    assert again["serviceConnectDefaults"] == {"namespace": arn}
    assert ecs.client.describe_clusters(clusters=[name])["clusters"][0]["serviceConnectDefaults"] == {"namespace": arn}
    missing = arn[:-4] + "none"
    defaults = {"namespace": missing}
    code, _ = refusal(ecs.client.update_cluster, cluster=name, serviceConnectDefaults=defaults)
    assert code == "NamespaceNotFoundException"
    code, _ = refusal(ecs.client.create_cluster, clusterName=name, serviceConnectDefaults={"namespace": "a/b"})
    assert code == "InvalidParameterException"
    off = ecs.client.update_cluster(cluster=name, serviceConnectDefaults={"namespace": ""})["cluster"]
    assert "serviceConnectDefaults" not in off


def test_what_is_shown_and_claimed(ecs: Ecs, namespace: str) -> None:
    given = {"enabled": True, "services": [offered(), offered("database", discoveryName="db")]}
    made = create(ecs, given)
    deployment = made["deployments"][0]
    assert deployment["serviceConnectConfiguration"] == {**given, "namespace": namespace}
    assert [each["discoveryName"] for each in deployment["serviceConnectResources"]] == ["web", "db"]
    assert cloud_map(ecs, namespace) == ["db", "web"]
    revision_arn = made["currentServiceRevisions"][0]["arn"]
    revision = ecs.client.describe_service_revisions(serviceRevisionArns=[revision_arn])["serviceRevisions"][0]
    assert revision["serviceConnectConfiguration"] == deployment["serviceConnectConfiguration"]
    listed = ecs.client.list_services_by_namespace(namespace=f"space-{ecs.number}")["serviceArns"]
    assert listed == [made["serviceArn"]]

    client = create(ecs, {"enabled": True})
    pages = ecs.client.get_paginator("list_services_by_namespace").paginate(namespace=namespace, maxResults=1)
    listed = [arn for page in pages for arn in page["serviceArns"]]
    assert sorted(listed) == sorted([made["serviceArn"], client["serviceArn"]])
    changed = ecs.client.update_service(
        cluster=ecs.name, service=client["serviceName"], serviceConnectConfiguration={"enabled": False}
    )["service"]
    assert changed["deployments"][0]["serviceConnectConfiguration"] == {"enabled": False}
    assert ecs.client.list_services_by_namespace(namespace=namespace)["serviceArns"] == [made["serviceArn"]]
    assert "serviceConnectConfiguration" not in create(ecs, None)["deployments"][0]
    assert refusal(ecs.client.list_services_by_namespace, namespace="nowhere")[0] == "NamespaceNotFoundException"


@pytest.mark.parametrize(
    ("services", "words"),
    [
        ([offered("other")], "'other' of the Service Connect configuration was not found"),
        ([offered("names")], "must be one TCP port"),
        ([offered(clientAliases=[])], "exactly one client alias"),
        ([offered(discoveryName="-x")], "Invalid discoveryName"),
        ([offered(clientAliases=[{"port": 80, "dnsName": "-x"}])], "Invalid dnsName"),
        ([offered(), offered()], "The portName 'web' is used more than once"),
        ([offered(), offered("database", discoveryName="web")], "The discoveryName 'web' is used more than once"),
        (
            [
                offered(clientAliases=[{"port": 80, "dnsName": "a"}]),
                offered("database", clientAliases=[{"port": 80, "dnsName": "a"}]),
            ],
            "The client alias 'a:80' is used more than once",
        ),
        ([offered(ingressPortOverride=5432)], "is a container port"),
        ([offered("database", timeout={"perRequestTimeoutSeconds": 1})], "isn't TCP"),
    ],
)
def test_what_is_refused(ecs: Ecs, namespace: str, services: list[Any], words: str) -> None:
    code, message = refusal(create, ecs=ecs, configuration={"enabled": True, "services": services})
    assert code == "InvalidParameterException"
    assert words in message
    assert cloud_map(ecs, namespace) == []


def test_names_are_one_services_in_a_namespace(ecs: Ecs, namespace: str) -> None:
    first = create(ecs, {"enabled": True, "services": [offered()]})
    second = {"enabled": True, "services": [offered(clientAliases=[{"port": 81}])]}
    code, message = refusal(create, ecs=ecs, configuration=second)
    assert (code, "discoveryName 'web' is already used" in message) == ("InvalidParameterException", True)
    alias = [{"port": 80, "dnsName": f"web.space-{ecs.number}"}]
    third = {"enabled": True, "services": [offered("database", clientAliases=alias)]}
    code, message = refusal(create, ecs=ecs, configuration=third)
    assert first["serviceName"] in message
    # A service that is deployed anew keeps its names, and may have others beside them.
    more = {"enabled": True, "services": [offered(), offered("database")]}
    ecs.client.update_service(cluster=ecs.name, service=first["serviceName"], serviceConnectConfiguration=more)
    assert cloud_map(ecs, namespace) == ["database", "web"]


def test_modes_and_members_that_cannot_be(ecs: Ecs, namespace: str) -> None:
    ecs.define(
        family="on-host",
        networkMode="host",
        requiresCompatibilities=["EC2"],
        containerDefinitions=[{"name": "app", "image": "busybox"}],
    )
    code, message = refusal(
        create,
        ecs=ecs,
        configuration={"enabled": True},
        taskDefinition="on-host",
        launchType="EC2",
        networkConfiguration=None,
    )
    assert (code, "host network mode" in message) == ("InvalidParameterException", True)
    for member, services in {
        "tls": [offered(tls={"issuerCertificateAuthority": {"awsPcaAuthorityArn": "arn:x"}})],
    }.items():
        code, message = refusal(create, ecs=ecs, configuration={"enabled": True, "services": services})
        assert (code, member in message) == ("NotImplemented", True)


@pytest.mark.parametrize(
    ("header", "words"),
    [({"name": "x y"}, "Invalid header name"), ({"name": "x", "value": {"exact": "a\0b"}}, "must be printable")],
)
def test_test_traffic_that_cannot_be_told_apart(ecs: Ecs, namespace: str, header: dict[str, Any], words: str) -> None:
    service = offered(clientAliases=[{"port": 80, "testTrafficRules": {"header": header}}])
    code, message = refusal(create, ecs=ecs, configuration={"enabled": True, "services": [service]})
    assert (code, words in message) == ("InvalidParameterException", True)


def test_test_traffic_is_of_http(ecs: Ecs, namespace: str) -> None:
    rule = {"testTrafficRules": {"header": {"name": "x"}}}
    service = offered("database", clientAliases=[{"port": 80, **rule}])
    code, message = refusal(create, ecs=ecs, configuration={"enabled": True, "services": [service]})
    assert (code, "isn't TCP" in message) == ("InvalidParameterException", True)


def test_without_a_namespace(ecs: Ecs) -> None:
    ecs.define()
    code, message = refusal(create, ecs=ecs, configuration={"enabled": True})
    assert (code, "Namespace cannot be empty" in message) == ("InvalidParameterException", True)
    code, _ = refusal(create, ecs=ecs, configuration={"enabled": True, "namespace": "nowhere"})
    assert code == "NamespaceNotFoundException"
