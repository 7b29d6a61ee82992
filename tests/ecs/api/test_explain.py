"""ExplainPlacement with boto3, and ``dryport explain`` as people use it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dryport.ecs.boards import BOARDS, board
from tests.ecs.api.conftest import Ecs
from tests.ecs.api.test_placement import INVALID, define, register_instance, run
from tests.served import refusal

ZONE = "ecs.availability-zone"


def explain(ecs: Ecs, **request: Any) -> Any:
    return ecs.served.client("dryport").explain_placement(cluster=ecs.name, **request)


def obstacles(answer: Any) -> dict[str, list[dict[str, Any]]]:
    """What is in the way, by the instance's name."""
    return {each["containerInstanceArn"].rpartition("/")[2]: each["obstacles"] for each in answer["containerInstances"]}


def reasons(answer: Any) -> dict[str, list[str]]:
    return {name: [each["reason"] for each in found] for name, found in obstacles(answer).items()}


def explain_cli(ecs: Ecs, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dryport.cli.main", "explain", "--cluster", ecs.name, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**ecs.served.environment(), "COLUMNS": "200"},
    )


def test_every_obstacle_is_told_with_its_figures(ecs: Ecs) -> None:
    register_instance(ecs, "full")
    run(ecs, define(ecs, cpu=900, memory=950))
    register_instance(ecs, "away", agent_connected=False)
    register_instance(ecs, "draining", status="DRAINING")
    register_instance(ecs, "outside", capacity="EXTERNAL")
    register_instance(ecs, "bare")
    register_instance(ecs, "good", {"stack": "prod"})
    answer = explain(
        ecs,
        taskDefinition=define(ecs, cpu=200, memory=100),
        placementConstraints=[{"type": "memberOf", "expression": "attribute:stack == prod"}],
    )
    member = "MemberOf placement constraint unsatisfied."
    assert reasons(answer) == {
        "full": ["RESOURCE:CPU", "RESOURCE:MEMORY", member],
        "away": ["AGENT", member],
        "draining": ["INACTIVE", member],
        "outside": ["LAUNCH_TYPE", member],
        "bare": [member],
        "good": [],
    }
    found = obstacles(answer)
    assert found["full"][0] == {
        "reason": "RESOURCE:CPU",
        "message": "needs 200 CPU units, 124 left of 1024",
        "wanted": 200,
        "remaining": 124,
    }
    assert found["full"][1]["message"] == "needs 100 MiB of memory, 50 left of 1000"
    assert found["away"][0]["message"] == "its agent is not connected"
    assert found["draining"][0]["message"] == "it is DRAINING"
    assert found["outside"][0]["message"] == "it is of the launch type EXTERNAL, not EC2"
    assert found["bare"][0]["message"] == "is not a member of attribute:stack == prod"
    assert [arn.rpartition("/")[2] for arn in answer["placements"]] == ["good"]
    assert answer["unplaced"] == 0


def test_ports_are_told_with_who_has_them(ecs: Ecs) -> None:
    register_instance(ecs, "one")
    definition = define(ecs, portMappings=[{"containerPort": 80, "hostPort": 8080}])
    task = ecs.client.run_task(cluster=ecs.name, taskDefinition=definition)["tasks"][0]
    holder = f"the task {task['taskArn'].rpartition('/')[2]} of the group {task['group']}"
    assert obstacles(explain(ecs, taskDefinition=definition))["one"] == [
        {"reason": "RESOURCE:PORTS", "message": f"needs the TCP host port 8080, which {holder} has"}
    ]
    ssh = define(ecs, portMappings=[{"containerPort": 22, "hostPort": 22}])
    message = "needs the TCP host port 22, which the instance keeps for itself"
    assert obstacles(explain(ecs, taskDefinition=ssh))["one"][0]["message"] == message


def test_attributes_and_distinct_instances(ecs: Ecs) -> None:
    register_instance(ecs, "one", {"ecs.cpu-architecture": "x86_64"})
    arm = define(ecs, {"runtimePlatform": {"cpuArchitecture": "ARM64"}})
    (found,) = obstacles(explain(ecs, taskDefinition=arm))["one"]
    assert found == {
        "reason": "ATTRIBUTE",
        "message": "needs the attribute ecs.cpu-architecture = arm64, has x86_64",
    }
    plain = define(ecs)
    run(ecs, plain, group="web")
    distinct = [{"type": "distinctInstance"}]
    (found,) = obstacles(explain(ecs, taskDefinition=plain, group="web", placementConstraints=distinct))["one"]
    assert found["reason"] == "DistinctInstance placement constraint unsatisfied."
    assert found["message"] == "has a task of the group web"
    assert reasons(explain(ecs, taskDefinition=plain, group="db", placementConstraints=distinct)) == {"one": []}


def test_a_dry_run_says_where_tasks_would_go_and_places_none(ecs: Ecs) -> None:
    for zone in "ab":
        for number in range(2):
            register_instance(ecs, f"{zone}{number}", {ZONE: f"us-east-1{zone}"})
    definition = define(ecs, memory=300)
    strategy = [{"type": "spread", "field": f"attribute:{ZONE}"}, {"type": "binpack", "field": "memory"}]
    answer = explain(ecs, taskDefinition=definition, count=14, placementStrategy=strategy)
    zones = [arn.rpartition("/")[2][0] for arn in answer["placements"]]
    assert (zones.count("a"), zones.count("b"), answer["unplaced"]) == (6, 6, 2)
    assert len(set(answer["placements"][:6])) == 2  # packed: one in each zone first
    # Nothing is there afterwards, neither stored nor on the board.
    assert ecs.client.list_tasks(cluster=ecs.name)["taskArns"] == []
    there = board(ecs.served.context.store.reader.view(BOARDS), ecs.cluster_arn)
    assert there.tasks == {}
    assert set(there.left["MEMORY"].of.values()) == {1000}
    # And RunTask then does what was said.
    placed, failures = run(ecs, definition, count=10, placementStrategy=strategy)
    assert (len(placed), failures) == (10, [])


def test_a_task_is_explained_as_if_it_were_not_there(ecs: Ecs) -> None:
    one = register_instance(ecs, "one", {"rack": "7"})
    register_instance(ecs, "two")
    definition = define(ecs, memory=600, portMappings=[{"containerPort": 80, "hostPort": 80}])
    constraints = [{"type": "distinctInstance"}, {"type": "memberOf", "expression": "attribute:rack exists"}]
    answer = ecs.client.run_task(cluster=ecs.name, taskDefinition=definition, placementConstraints=constraints)
    task = answer["tasks"][0]["taskArn"]
    said = explain(ecs, task=task)
    assert (said["taskArn"], said["containerInstanceArn"], said["placements"]) == (task, one, [one])
    assert said["placementConstraints"] == constraints
    assert reasons(said) == {"one": [], "two": ["MemberOf placement constraint unsatisfied."]}
    # It is still there: one more is in its way.
    assert reasons(explain(ecs, taskDefinition=definition))["one"] == ["RESOURCE:MEMORY", "RESOURCE:PORTS"]
    # So is a stopped one explained, by its id.
    ecs.change(task, lambda each: replace(each, last_status="STOPPED", desired_status="STOPPED"))
    assert explain(ecs, task=task.rpartition("/")[2])["placements"] == [one]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "Specify a task, a service or a taskDefinition."),
        ({"task": "0" * 32, "count": 2}, "count cannot be specified together with task"),
        ({"task": "0" * 32}, "specify its taskDefinition instead"),
        ({"task": "0" * 32, "service": "web"}, "service cannot be specified together with task"),
        ({"service": "web", "group": "x"}, "group cannot be specified together with service"),
        ({"taskDefinition": "x", "count": 0}, "count must be between 1 and 1000."),
        ({"taskDefinition": "x", "count": 1001}, "count must be between 1 and 1000."),
    ],
)
def test_what_cannot_be_explained_is_refused(ecs: Ecs, request_: dict[str, Any], message: str) -> None:
    code, said = refusal(ecs.served.client("dryport").explain_placement, cluster=ecs.name, **request_)
    assert code == INVALID
    assert message in said


def test_an_expression_is_refused_with_its_position(ecs: Ecs) -> None:
    constraints = [{"type": "memberOf", "expression": "attribute:stack = prod"}]
    request = {"cluster": ecs.name, "taskDefinition": define(ecs), "placementConstraints": constraints}
    code, said = refusal(ecs.served.client("dryport").explain_placement, **request)
    assert (code, said.endswith("expected an operator at position 17.")) == (INVALID, True)


def test_a_service_is_explained_by_what_it_lacks(ecs: Ecs) -> None:
    one = register_instance(ecs, "one", {ZONE: "us-east-1a"})
    register_instance(ecs, "two", {ZONE: "us-east-1b"}, status="DRAINING")
    definition = define(ecs, memory=400)
    service = {"cluster": ecs.name, "serviceName": "shop", "taskDefinition": definition, "desiredCount": 3}
    arn = ecs.client.create_service(**service, launchType="EC2")["service"]["serviceArn"]
    said = explain(ecs, service="shop")
    assert (said["serviceArn"], said["group"]) == (arn, "service:shop")
    assert said["placementStrategy"] == [{"type": "spread", "field": f"attribute:{ZONE}"}]
    assert (said["placements"], said["unplaced"]) == ([one, one], 1)
    assert reasons(said) == {"one": [], "two": ["INACTIVE"]}
    assert explain(ecs, service=arn, count=1)["unplaced"] == 0
    done = explain_cli(ecs, "shop")
    assert done.returncode == 3, done.stderr
    assert "service shop with" in done.stdout
    code, _ = refusal(ecs.served.client("dryport").explain_placement, cluster=ecs.name, service="none")
    assert code == "ServiceNotFoundException"


def test_a_service_with_task_sets_is_explained_by_its_primary_one(ecs: Ecs) -> None:
    one = register_instance(ecs, "one", {ZONE: "us-east-1a"})
    name = {"cluster": ecs.name, "service": "sets"}
    ecs.client.create_service(
        cluster=ecs.name, serviceName="sets", desiredCount=2, deploymentController={"type": "EXTERNAL"}
    )
    code, said = refusal(ecs.served.client("dryport").explain_placement, **name)
    assert (code, said) == (INVALID, "The service has no task sets.")
    made = ecs.client.create_task_set(**name, taskDefinition=define(ecs, memory=100))["taskSet"]
    ecs.client.create_task_set(**name, taskDefinition=define(ecs, memory=5000))
    ecs.client.update_service_primary_task_set(**name, primaryTaskSet=made["id"])
    assert explain(ecs, service="sets")["placements"] == [one, one]


def test_a_daemon_has_one_task_on_an_instance(ecs: Ecs) -> None:
    register_instance(ecs, "one")
    register_instance(ecs, "two")
    definition = define(ecs, memory=100)
    ecs.client.create_service(
        cluster=ecs.name, serviceName="logs", taskDefinition=definition, schedulingStrategy="DAEMON", launchType="EC2"
    )
    said = explain(ecs, service="logs", count=3)
    assert (len(set(said["placements"])), said["unplaced"]) == (2, 1)


def test_tasks_on_fargate_have_no_instances_to_choose_from(ecs: Ecs) -> None:
    ecs.define()
    task = ecs.run()["tasks"][0]["taskArn"]
    code, said = refusal(ecs.served.client("dryport").explain_placement, cluster=ecs.name, task=task)
    assert (code, "Fargate" in said) == (INVALID, True)


def test_an_unsigned_call_is_refused(ecs: Ecs) -> None:
    import urllib.error
    import urllib.request

    headers = {"x-amz-target": "Dryport_20261126.ExplainPlacement", "content-type": "application/x-amz-json-1.1"}
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(urllib.request.Request(ecs.served.endpoint, b"{}", headers))
    assert raised.value.code in (400, 403)
    assert b"MissingAuthenticationToken" in raised.value.read()


def test_the_command_shows_a_table(ecs: Ecs) -> None:
    register_instance(ecs, "one", {ZONE: "us-east-1a"}, ec2_instance_id="i-0123456789abcdef0")
    register_instance(ecs, "two", agent_connected=False)
    define(ecs, memory=400)
    done = explain_cli(ecs, "--task-definition", f"ec2-{ecs.number}", "--count", "3", "--strategy", "binpack:memory")
    assert done.returncode == 3, done.stderr
    assert "AGENT: its agent is not connected" in done.stdout
    assert "would be placed now on: i-0123456789abcdef0 (2)" in done.stdout
    assert "1 of 3 would find no instance" in done.stdout
    done = explain_cli(
        ecs, "--task-definition", f"ec2-{ecs.number}", "--output", "json", "--constraint", "agentConnected == true"
    )
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["unplaced"]) == (0, 0)
    assert answer["placementConstraints"] == [{"type": "memberOf", "expression": "agentConnected == true"}]
    task = ecs.client.run_task(cluster=ecs.name, taskDefinition=f"ec2-{ecs.number}")["tasks"][0]["taskArn"]
    done = explain_cli(ecs, task)
    assert done.returncode == 0, done.stderr
    assert "on i-0123456789abcdef0" in done.stdout


def test_the_command_says_what_is_wrong(ecs: Ecs, tmp_path: Path) -> None:
    assert "give a TASK, a SERVICE or --task-definition" in explain_cli(ecs).stderr
    done = explain_cli(ecs, "--task-definition", define(ecs), "--strategy", "binpack:disk")
    assert (done.returncode, "binpack strategy should be one of" in done.stderr) == (1, True)
    command = [sys.executable, "-m", "dryport.cli.main", "explain", "x", "--state-dir", str(tmp_path)]
    bare = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin", "PYTHONPATH": sys.path[0]})
    assert (bare.returncode, "run `dryport up` first" in bare.stderr) == (1, True), bare.stderr
