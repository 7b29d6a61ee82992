"""Clusters, with boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from dryport.ecs.model import CLUSTERS, CONTAINER_INSTANCES, Cluster, ContainerInstance
from tests.ecs.api.conftest import Ecs
from tests.served import refusal

REST = {
    "status": "ACTIVE",
    "registeredContainerInstancesCount": 0,
    "runningTasksCount": 0,
    "pendingTasksCount": 0,
    "activeServicesCount": 0,
    "statistics": [],
    "tags": [],
    "capacityProviders": [],
    "defaultCapacityProviderStrategy": [],
}
INSIGHTS = [{"name": "containerInsights", "value": "disabled"}]
STRATEGY = [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]


def test_a_new_cluster_and_the_same_again(ecs: Ecs) -> None:
    name = f"{ecs.name}-new"
    made = ecs.client.create_cluster(clusterName=name)["cluster"]
    arn = f"arn:aws:ecs:us-east-1:000000000000:cluster/{name}"
    assert made == {"clusterArn": arn, "clusterName": name, "settings": INSIGHTS, **REST}
    assert ecs.client.create_cluster(clusterName=name)["cluster"] == made
    described = ecs.client.describe_clusters(clusters=[name, arn])
    assert described["clusters"] == [{**made, "settings": []}]
    assert described["failures"] == []


def test_the_same_name_made_otherwise_is_refused(ecs: Ecs) -> None:
    code, message = refusal(ecs.client.create_cluster, clusterName=ecs.name, capacityProviders=["FARGATE"])
    assert code == "InvalidParameterException"
    assert message.startswith("Arguments on this idempotent request are inconsistent")


def test_what_is_asked_for_is_kept_and_described_when_included(ecs: Ecs) -> None:
    name, tags = f"{ecs.name}-full", [{"key": "team", "value": "a"}]
    made = ecs.client.create_cluster(
        clusterName=name,
        capacityProviders=["FARGATE", "FARGATE_SPOT"],
        defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
        settings=INSIGHTS,
        tags=tags,
    )["cluster"]
    assert (made["tags"], made["settings"]) == (tags, INSIGHTS)
    assert made["capacityProviders"] == ["FARGATE", "FARGATE_SPOT"]
    assert made["defaultCapacityProviderStrategy"] == STRATEGY
    plain = ecs.client.describe_clusters(clusters=[name])["clusters"][0]
    assert (plain["tags"], plain["settings"], plain["statistics"]) == ([], [], [])
    assert "attachments" not in plain
    everything = ["ATTACHMENTS", "CONFIGURATIONS", "SETTINGS", "STATISTICS", "TAGS"]
    full = ecs.client.describe_clusters(clusters=[name], include=everything)["clusters"][0]
    assert (full["tags"], full["settings"]) == (tags, INSIGHTS)
    assert (full["attachments"], full["attachmentsStatus"]) == ([], "UPDATE_COMPLETE")
    assert {"name": "runningFargateTasksCount", "value": "0"} in full["statistics"]


def test_no_cluster_at_all(ecs: Ecs) -> None:
    described = ecs.client.describe_clusters(clusters=["nowhere"])
    arn = "arn:aws:ecs:us-east-1:000000000000:cluster/nowhere"
    assert described["failures"] == [{"arn": arn, "reason": "MISSING"}]
    for call in (ecs.client.list_tasks, ecs.client.delete_cluster):
        assert refusal(call, cluster="nowhere") == ("ClusterNotFoundException", "Cluster not found.")
    west = ecs.served.client("ecs", region="us-west-2")
    assert refusal(west.list_tasks) == ("ClusterNotFoundException", "Cluster not found.")
    assert west.create_cluster()["cluster"]["clusterName"] == "default"
    assert west.list_tasks()["taskArns"] == []
    assert west.list_clusters()["clusterArns"] == ["arn:aws:ecs:us-west-2:000000000000:cluster/default"]


@pytest.mark.parametrize("name", ["a b", "x" * 256, "ü", "dryport-fargate"])
def test_names_that_no_cluster_can_have(ecs: Ecs, name: str) -> None:
    assert refusal(ecs.client.create_cluster, clusterName=name)[0] == "InvalidParameterException"


def test_pages_of_clusters(ecs: Ecs) -> None:
    east = ecs.served.client("ecs", region="eu-west-1")
    arns = {east.create_cluster(clusterName=f"page-{number}")["cluster"]["clusterArn"] for number in range(5)}
    first = east.list_clusters(maxResults=2)
    assert len(first["clusterArns"]) == 2
    east.delete_cluster(cluster=first["clusterArns"][0])  # what went meanwhile does not double what comes
    pages = east.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 2})
    rest = east.list_clusters(nextToken=first["nextToken"])["clusterArns"]
    assert set(first["clusterArns"]) | set(rest) == arns
    assert not set(first["clusterArns"]) & set(rest)
    assert len([arn for page in pages for arn in page["clusterArns"]]) == 4
    assert refusal(east.list_clusters, nextToken="?")[0] == "InvalidParameterException"
    assert refusal(east.list_clusters, maxResults=101)[0] == "InvalidParameterException"


def test_changing_a_cluster(ecs: Ecs) -> None:
    for change in (ecs.client.update_cluster_settings, ecs.client.update_cluster):
        assert change(cluster=ecs.name, settings=INSIGHTS)["cluster"]["settings"] == INSIGHTS
        insights = [{"name": "containerInsights", "value": "enhanced"}]
        code, message = refusal(change, cluster=ecs.name, settings=insights)
        assert code == "NotImplemented" and "containerInsights=enhanced" in message
        wrong = [{"name": "containerInsights", "value": "perhaps"}]
        assert refusal(change, cluster=ecs.name, settings=wrong)[0] == "InvalidParameterException"
        assert refusal(change, cluster=ecs.name, settings=[{"value": "disabled"}])[0] == "InvalidParameterException"


def test_capacity_providers(ecs: Ecs) -> None:
    put = ecs.client.put_cluster_capacity_providers
    changed = put(
        cluster=ecs.name,
        capacityProviders=["FARGATE_SPOT"],
        defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
    )["cluster"]
    assert changed["capacityProviders"] == ["FARGATE_SPOT"]
    assert changed["defaultCapacityProviderStrategy"] == STRATEGY
    wrong: list[Any] = [
        (["mine"], []),
        (["FARGATE"], STRATEGY),
        (["FARGATE_SPOT"], [{"capacityProvider": "FARGATE_SPOT", "weight": 0}]),
    ]
    for providers, strategy in wrong:
        code, _ = refusal(put, cluster=ecs.name, capacityProviders=providers, defaultCapacityProviderStrategy=strategy)
        assert code == "InvalidParameterException"


def test_a_cluster_with_something_in_it_cannot_be_deleted(ecs: Ecs) -> None:
    ecs.define()
    task = ecs.run()["tasks"][0]["taskArn"]
    assert refusal(ecs.client.delete_cluster, cluster=ecs.name) == (
        "ClusterContainsTasksException",
        "The Cluster cannot be deleted while Tasks are active.",
    )
    ecs.change(task, lambda old: replace(old, last_status="STOPPED"))
    instance = ContainerInstance(
        arn=ecs.cluster_arn.replace(":cluster/", ":container-instance/") + "/i",
        cluster_arn=ecs.cluster_arn,
        account="000000000000",
        region="us-east-1",
    )
    ecs.write(lambda tx: tx.put(CONTAINER_INSTANCES, instance))
    assert refusal(ecs.client.delete_cluster, cluster=ecs.name) == (
        "ClusterContainsContainerInstancesException",
        "The Cluster cannot be deleted while Container Instances are active or draining.",
    )
    ecs.write(lambda tx: tx.delete(CONTAINER_INSTANCES, instance.arn))
    assert ecs.client.delete_cluster(cluster=ecs.name)["cluster"]["status"] == "INACTIVE"
    assert ecs.cluster()["status"] == "INACTIVE"
    assert ecs.cluster_arn not in ecs.client.list_clusters()["clusterArns"]
    assert refusal(ecs.client.list_tasks, cluster=ecs.name) == (
        "ClusterNotFoundException",
        "The referenced cluster was inactive.",
    )
    assert ecs.client.create_cluster(clusterName=ecs.name)["cluster"]["status"] == "ACTIVE"


def test_hidden_clusters_are_nowhere(ecs: Ecs) -> None:
    hidden = Cluster(
        arn="arn:aws:ecs:us-east-1:000000000000:cluster/hidden",
        name="hidden",
        account="000000000000",
        region="us-east-1",
        hidden=True,
    )
    ecs.write(lambda tx: tx.put(CLUSTERS, hidden))
    assert ecs.client.describe_clusters(clusters=["hidden"])["failures"][0]["reason"] == "MISSING"
    assert hidden.arn not in ecs.client.list_clusters()["clusterArns"]
    for call in (ecs.client.list_tasks, ecs.client.delete_cluster):
        assert refusal(call, cluster=hidden.arn)[0] == "ClusterNotFoundException"


def test_parameters_that_nothing_acts_on_are_refused_by_name(ecs: Ecs) -> None:
    refused = {
        "configuration": {"executeCommandConfiguration": {"logging": "NONE"}},
    }
    for name, value in refused.items():
        code, message = refusal(ecs.client.create_cluster, **{name: value})
        assert code == "NotImplemented"
        assert name in message


def test_the_aws_cli(ecs: Ecs) -> None:
    done = ecs.served.cli("ecs", "describe-clusters", "--clusters", ecs.name, "--output", "json")
    assert json.loads(done.stdout)["clusters"][0]["clusterName"] == ecs.name, done.stderr
