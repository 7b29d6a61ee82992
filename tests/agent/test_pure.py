"""The agent's decisions, without any effect."""

from __future__ import annotations

import random
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.agent.acs.backoff import Backoff
from dryport.agent.acs.registration import capabilities
from dryport.agent.engine import block_volumes, envfile, events, secrets, spec
from dryport.agent.engine.accept import record_of, refusal
from dryport.agent.engine.dependencies import dependencies_of, flaw
from dryport.agent.engine.health import HealthCheck, Probe, from_docker, observe
from dryport.agent.engine.plan import Verb, essential_ended, plan, task_status
from dryport.agent.engine.restart import should_restart
from dryport.agent.logs import batch, options
from dryport.agent.model import ContainerStatus, Event, Health, TaskRecord, TaskStatus
from dryport.agent.payload import RestartPolicy, Task, decode_task
from dryport.agent.runtime import Image, LogLine
from dryport.agent.settings import Settings, load

CONDITIONS = ["START", "COMPLETE", "SUCCESS", "HEALTHY"]


@st.composite
def graphs(draw: st.DrawFn) -> Task:
    """A task whose containers depend only on earlier ones."""
    size = draw(st.integers(1, 6))
    containers: list[dict[str, Any]] = []
    for number in range(size):
        earlier = [c["name"] for c in containers]
        needs = draw(st.lists(st.sampled_from(earlier), unique=True)) if earlier else []
        links = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=1)) if earlier else []
        containers.append(
            {
                "name": f"c{number}",
                "image": "i",
                "essential": draw(st.booleans()) or number == size - 1,
                "dependsOn": [{"containerName": n, "condition": draw(st.sampled_from(CONDITIONS))} for n in needs],
                "links": links,
            }
        )
    draw(st.randoms(use_true_random=False)).shuffle(containers)
    return decode_task(msgspec.json.encode({"arn": "a/b/c", "containers": containers}))


def new_record(task: Task) -> TaskRecord:
    return record_of(task, 0.0, lambda digits: "1" * digits, docker=False)


def complete(record: TaskRecord, verb: Verb, name: str, now: float, draw: random.Random) -> None:
    """What the world makes of a step."""
    container = record.containers[name]
    match verb:
        case Verb.PULL:
            container.known = ContainerStatus.PULLED
        case Verb.CREATE:
            container.known, container.created_at = ContainerStatus.CREATED, now
        case Verb.START:
            container.known, container.started_at = ContainerStatus.RUNNING, now
            container.health = Health(status="UNKNOWN")
        case Verb.STOP:
            container.known, container.exit_code = ContainerStatus.STOPPED, 143
        case Verb.GIVE_UP:
            container.known = ContainerStatus.STOPPED
    record.known = max(record.known, task_status(record))


@given(graphs(), st.integers(0, 2**32))
def test_any_history_keeps_the_order_and_ends(task: Task, seed: int) -> None:
    chance, record = random.Random(seed), new_record(task)
    definitions = {c.name: c for c in task.containers or ()}
    for now in range(1, 400):
        for container in record.containers.values():  # the world: ends and health
            if container.known is ContainerStatus.RUNNING and chance.random() < 0.1:
                container.health = Health(status="HEALTHY")
            if container.known is ContainerStatus.RUNNING and chance.random() < 0.05:
                container.known, container.exit_code = ContainerStatus.STOPPED, chance.choice([0, 0, 1])
        if essential_ended(record) or now > 100:
            record.desired = TaskStatus.STOPPED
            for container in record.containers.values():
                container.desired = ContainerStatus.STOPPED
        steps = plan(record, fetched=now > 3, provisioned=now > 3, now=float(now)).steps
        if not steps:
            if task_status(record) is TaskStatus.STOPPED:
                break
            continue
        step = chance.choice(steps)
        if step.verb is Verb.CREATE:
            for need in definitions[step.container].depends_on or ():
                other = record.containers[need.container_name]
                assert other.started_at is not None
                if need.condition == "SUCCESS":
                    assert (other.known, other.exit_code) == (ContainerStatus.STOPPED, 0)
                if need.condition == "COMPLETE":
                    assert other.known is ContainerStatus.STOPPED
                if need.condition == "HEALTHY":
                    assert other.health is not None
                    assert other.health.status == "HEALTHY"
        if step.verb is Verb.STOP:
            for other_name, other_definition in definitions.items():
                if step.container in dependencies_of(other_definition):
                    running = (ContainerStatus.CREATED, ContainerStatus.RUNNING)
                    assert record.containers[other_name].known not in running
        complete(record, step.verb, step.container, float(now), chance)
    assert task_status(record) is TaskStatus.STOPPED


def test_a_graph_that_cannot_be_is_named() -> None:
    def containers(*needs: tuple[str, str]) -> Task:
        shapes = [
            {"name": n, "image": "i", "dependsOn": [{"containerName": on, "condition": "START"}]} for n, on in needs
        ]
        return decode_task(msgspec.json.encode({"arn": "a", "containers": shapes}))

    assert "cycle" in flaw(containers(("a", "b"), ("b", "c"), ("c", "a")).containers or [])
    assert "does not have" in flaw(containers(("a", "none")).containers or [])


def test_a_start_timeout_gives_up() -> None:
    shape = {
        "arn": "a",
        "containers": [
            {"name": "a", "image": "i", "startTimeout": 5},
            {"name": "b", "image": "i", "dependsOn": [{"containerName": "a", "condition": "HEALTHY"}]},
        ],
    }
    record = new_record(decode_task(msgspec.json.encode(shape)))
    first, second = record.containers["a"], record.containers["b"]
    first.known, first.started_at, second.known = ContainerStatus.RUNNING, 10.0, ContainerStatus.PULLED
    assert plan(record, fetched=True, provisioned=True, now=12.0).deadline == 15.0
    steps = plan(record, fetched=True, provisioned=True, now=15.0).steps
    assert [(s.verb, s.container) for s in steps] == [(Verb.GIVE_UP, "b")]


# Events


@given(st.lists(st.tuples(st.sampled_from(["PENDING", "RUNNING"]), st.integers(0, 3), st.booleans())))
def test_the_outbox_loses_nothing_and_keeps_order(added: list[tuple[str, int, bool]]) -> None:
    outbox: list[Event] = []
    sent: list[tuple[str, int]] = []
    wanted = [(status, number) for number, (status, _, _) in enumerate(added)]
    for number, (status, _, flush) in enumerate(added):
        new = Event(status=status, containers=[{"containerName": "c", "n": number}])
        in_flight = bool(outbox) and flush
        before = outbox[0] if in_flight else None
        outbox = events.append(outbox, new, first_in_flight=in_flight)
        if before is not None:
            assert outbox[0] is before
            sent += [(before.status, c["n"]) for c in before.containers]
            outbox = outbox[1:]
    sent += [(e.status, c["n"]) for e in outbox for c in e.containers]
    assert sent == wanted


# Health


CHECK = HealthCheck(["true"], retries=3, start_period=10.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from([0, 1, None])), max_size=40))
def test_health_follows_dockers_rules(probes: list[tuple[float, int | None]]) -> None:
    health, now, run, ever_healthy = Health(), 0.0, 0, False
    for gap, exit_code in probes:
        now += gap
        before = health.status
        health = observe(health, CHECK, Probe(now, exit_code), started_at=0.0)
        starting = before == "UNKNOWN" and now < CHECK.start_period
        run = 0 if exit_code == 0 or starting else run + 1
        ever_healthy = ever_healthy or exit_code == 0
        if exit_code == 0:
            assert health.status == "HEALTHY"
        elif run >= CHECK.retries:
            assert health.status == "UNHEALTHY"
        else:
            assert health.status == before
        if health.status == before:
            assert health.since <= now
        else:
            assert health.since == now
        assert health.status != "UNKNOWN" or not ever_healthy


def test_health_checks_are_read_as_docker_writes_them() -> None:
    assert from_docker(None) is None
    assert from_docker({"Test": ["NONE"]}) is None
    check = from_docker({"Test": ["CMD", "a", "b"], "Interval": 7_000_000_000, "StartPeriod": 3_000_000_000})
    assert check == HealthCheck(["a", "b"], 7.0, 5.0, 3, 3.0)
    shell = from_docker({"Test": ["CMD-SHELL", "a b"]})
    assert shell is not None
    assert shell.argv == ["/bin/sh", "-c", "a b"]


# Environment files

NAMES = st.text(st.characters(exclude_characters="=\n\r#", exclude_categories=["Cs"]), min_size=1).filter(
    lambda n: bool(n.strip()) and not n.startswith("\ufeff")
)
VALUES = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1)


@given(st.dictionaries(NAMES, VALUES), st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_as_an_environment_file_is_read(variables: dict[str, str], newline: str) -> None:
    text = newline.join(["# a comment", "", *(f"{k}={v}" for k, v in variables.items()), "nothing", "=x", "y="])
    assert envfile.parse(text) == variables


@given(st.text())
def test_any_text_is_an_environment_file(text: str) -> None:
    assert all(name and value and "=" not in name for name, value in envfile.parse(text).items())


def test_the_first_of_two_files_counts() -> None:
    assert envfile.merge([{"a": "1"}, {"a": "2", "b": "2"}]) == {"a": "1", "b": "2"}


# Specification

IMAGE = Image(
    reference="i", digest="d", entry_point=["entry"], command=["cmd"], environment={"A": "image", "B": "image"}
)


@pytest.mark.parametrize(
    ("entry_point", "command", "wanted"),
    [
        (None, None, ["entry", "cmd"]),
        (None, ["x"], ["entry", "x"]),
        (["e"], None, ["e"]),
        (["e"], ["x"], ["e", "x"]),
        ([""], ["x"], ["x"]),
        ([], [], ["entry", "cmd"]),
    ],
)
def test_entry_point_and_command(entry_point: list[str] | None, command: list[str] | None, wanted: list[str]) -> None:
    assert spec.argv(entry_point, command, IMAGE) == wanted


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(spec.SpecError, match="no command specified"):
        spec.argv(None, None, Image(reference="i", digest="d"))


def test_environment_precedence() -> None:
    shape = {"arn": "a", "containers": [{"name": "m", "image": "i", "environment": {"B": "own", "C": "own"}}]}
    task = decode_task(msgspec.json.encode(shape))
    record = new_record(task)
    around = spec.Surroundings(weak={"A": "weak", "B": "weak"}, strong={"C": "strong"})
    made = spec.build(task, (task.containers or [])[0], record.containers["m"], IMAGE, around)
    assert made.environment == {"A": "weak", "B": "own", "C": "strong"}


def test_privileged_is_refused_on_fargate() -> None:
    container = {"name": "m", "image": "i", "dockerConfig": {"hostConfig": '{"Privileged": true}'}}
    task = decode_task(msgspec.json.encode({"arn": "a", "launchType": "FARGATE", "containers": [container]}))
    assert "privileged" in refusal(task, docker=False)


def _attached(**properties: str) -> Task:
    wanted = {"volumeName": "data", "deviceName": "/dev/xvdba", "sourceVolumeHostPath": "a_vol-1", **properties}
    attachment = {
        "attachmentArn": "arn:attachment/1",
        "attachmentType": "amazonebs",
        "attachmentProperties": [{"name": name, "value": value} for name, value in wanted.items()],
    }
    volumes = [{"name": "data", "type": "attachment"}]
    shape = {"arn": "a", "containers": [{"name": "m", "image": "i"}], "volumes": volumes, "attachments": [attachment]}
    return decode_task(msgspec.json.encode(shape))


def test_volumes_that_are_attached() -> None:
    task = _attached(fileSystem="ext4")
    assert refusal(task, docker=True) == ""
    volume = block_volumes.volumes(task)["data"]
    assert (volume.device, volume.file_system, str(volume.place)) == ("/dev/xvdba", "ext4", "/mnt/ecs/ebs/a_vol-1")
    assert block_volumes.volumes(_attached())["data"].file_system == "xfs"
    for change, why in (
        ({"sourceVolumeHostPath": "../../etc"}, "no directory of a volume"),
        ({"sourceVolumeHostPath": ".."}, "no directory of a volume"),
        ({"fileSystem": "ext4 /dev/sda"}, "no file system of volumes"),
        ({"deviceName": ""}, "without deviceName"),
        ({"volumeName": "other"}, "volume data: nothing is attached for it"),
    ):
        assert why in refusal(_attached(**change), docker=True)


def test_volumes_from_follows_chains() -> None:
    point = {"sourceVolume": "v", "containerPath": "/v"}
    shape = {
        "arn": "a",
        "containers": [
            {"name": "a", "image": "i", "mountPoints": [point]},
            {"name": "b", "image": "i", "volumesFrom": [{"sourceContainer": "a", "readOnly": True}]},
            {"name": "c", "image": "i", "volumesFrom": [{"sourceContainer": "b"}]},
        ],
    }
    task = decode_task(msgspec.json.encode(shape))
    found = spec.mounts(task, (task.containers or [])[2], spec.Surroundings(volumes={"v": "/host/v"}))
    assert [(m.target, m.source, m.read_only) for m in found] == [("/v", "/host/v", True)]


# Secrets


def test_references() -> None:
    arn = "arn:aws:secretsmanager:us-east-1:0:secret:n-AbC"
    assert secrets.asm_reference(arn) == (arn, "", "", "")
    assert secrets.asm_reference(f"{arn}:key::") == (arn, "key", "", "")
    assert secrets.asm_reference(f"{arn}:key:AWSPREVIOUS:") == (arn, "key", "AWSPREVIOUS", "")
    assert secrets.asm_reference(f"{arn}:::v1") == (arn, "", "", "v1")
    assert secrets.parameter_name("arn:aws:ssm:us-east-1:0:parameter/a/b") == "/a/b"
    assert secrets.parameter_name("arn:aws:ssm:us-east-1:0:parameter/a") == "a"
    assert secrets.parameter_name("/a") == "/a"


# Restarting


@pytest.mark.parametrize(
    ("policy", "exit_code", "ran", "wanted"),
    [
        (None, 1, 1000, False),
        (RestartPolicy(enabled=False), 1, 1000, False),
        (RestartPolicy(enabled=True), 1, 299, False),
        (RestartPolicy(enabled=True), 1, 300, True),
        (RestartPolicy(enabled=True), 0, 300, True),
        (RestartPolicy(enabled=True, restart_attempt_period=60), 1, 60, True),
        (RestartPolicy(enabled=True, ignored_exit_codes=[0, 3]), 3, 1000, False),
    ],
)
def test_restart_policies(policy: RestartPolicy | None, exit_code: int, ran: float, wanted: bool) -> None:
    assert should_restart(policy, exit_code, ran) is wanted


# Logs

LINES = st.lists(st.tuples(st.floats(1e9, 1e9 + 2e5), st.binary(max_size=300_000)), max_size=12)


@given(LINES)
def test_batches_keep_cloudwatchs_limits_and_every_byte(lines: list[tuple[float, bytes]]) -> None:
    joiner = batch.Joiner(None)
    made = [LogLine(at=at, stream="stdout", line=line, cursor=str(n)) for n, (at, line) in enumerate(lines)]
    found = [event for line in made for event in joiner.add(line)]
    assert "".join(e.message for e in found) == "".join(line.decode(errors="replace") for _, line in lines)
    grouped = list(batch.batches(found))
    assert sum(map(len, grouped)) == len(found)
    for group in grouped:
        assert len(group) <= batch.MAX_EVENTS
        assert sum(e.size for e in group) <= batch.MAX_BYTES
        assert [e.timestamp for e in group] == sorted(e.timestamp for e in group)
        assert group[-1].timestamp - group[0].timestamp <= 24 * 3600 * 1000
        assert all(e.message and e.size <= batch.MAX_EVENT + batch.OVERHEAD for e in group)


def test_lines_join_by_their_first_ones_pattern() -> None:
    joiner = batch.Joiner(re.compile(options.datetime_pattern("%Y-%m-%d").encode()))
    texts = [b"2024-01-01 one", b"  more", b"2024-01-02 two", b"  end"]
    found = [e for n, t in enumerate(texts) for e in joiner.add(LogLine(at=n, stream="", line=t, cursor=str(n)))]
    found += joiner.flush()
    assert [(e.message, e.cursor) for e in found] == [("2024-01-01 one\n  more", "1"), ("2024-01-02 two\n  end", "3")]


@pytest.mark.parametrize(
    ("given_options", "words"),
    [
        ({}, "awslogs-group"),
        ({"awslogs-group": "g", "mode": "x"}, "unknown mode"),
        ({"awslogs-group": "g", "max-buffer-size": "1m"}, "non-blocking"),
        ({"awslogs-group": "g", "mode": "non-blocking", "max-buffer-size": "x"}, "invalid size"),
        ({"awslogs-group": "g", "awslogs-multiline-pattern": "("}, "multiline pattern"),
        ({"awslogs-group": "g", "awslogs-datetime-format": "%Q"}, "%Q"),
    ],
)
def test_wrong_log_options_are_named(given_options: dict[str, str], words: str) -> None:
    record = new_record(decode_task(b'{"arn": "a", "containers": [{"name": "m", "image": "i"}]}'))
    with pytest.raises(options.OptionsError, match=re.escape(words)):
        options.read(given_options, record.containers["m"], "t")


def test_a_streams_name() -> None:
    record = new_record(decode_task(b'{"arn": "a/t1", "containers": [{"name": "m", "image": "i"}]}'))
    read = options.read({"awslogs-group": "g", "awslogs-stream-prefix": "p"}, record.containers["m"], "t1")
    assert read.stream == "p/m/t1"


# The agent itself


def test_backoff() -> None:
    backoff = Backoff(lambda: 0.0)
    assert [backoff.after_close(code) for code in (1000, 1001, 1006, 1011)] == [0.0] * 4
    delays = [backoff.after_close(4000) for _ in range(30)]
    assert delays[0] == 0.25
    assert delays == sorted(delays)
    assert delays[-1] == 120.0
    assert backoff.after_close(1006) == 0.0
    assert backoff.after_failure() == 0.25


def test_settings_from_options_and_environment() -> None:
    environment = {
        "ECS_CLUSTER": "c",
        "ECS_BACKEND_HOST": "http://h",
        "ECS_CONTAINER_STOP_TIMEOUT": "1m30s",
        "ECS_INSTANCE_ATTRIBUTES": '{"stack": "prod"}',
        "ECS_AVAILABLE_LOGGING_DRIVERS": '["awslogs"]',
        "ECS_RESERVED_MEMORY": "64",
    }
    made = load(["--state-dir", "/s", "--endpoint", "http://own"], environment)
    assert (made.cluster, made.endpoint, made.stop_timeout, made.reserved_memory) == ("c", "http://own", 90.0, 64)
    assert made.attributes == {"stack": "prod"}
    assert {"name": "com.amazonaws.ecs.capability.logging-driver.awslogs"} in capabilities(made)
    with pytest.raises(SystemExit):
        load(["--state-dir", "/s"], {})
    assert Settings(endpoint="", state_dir=made.state_dir).slug == made.slug


def test_ports_and_ranges_of_the_bridge_are_published() -> None:
    mappings = [{"containerPort": 80, "hostPort": 0}, {"containerPortRange": "9000-9002", "protocol": "udp"}]
    shape = {
        "arn": "a/b/c",
        "networkMode": "bridge",
        "containers": [{"name": "web", "image": "i", "portMappings": mappings}],
    }
    task = decode_task(msgspec.json.encode(shape))
    assert task.containers is not None
    assert spec.published_ports(task, task.containers[0]) == [
        {"containerPort": 80, "hostPort": 0, "protocol": "tcp"},
        {"containerPortRange": "9000-9002", "protocol": "udp"},
    ]
