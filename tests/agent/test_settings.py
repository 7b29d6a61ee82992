"""The agent's settings in the environment: values, bounds, what is not acted on, and its log."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.agent import own_log, registries
from dryport.agent.acs.registration import capabilities, total_resources
from dryport.agent.engine.limits import within, written
from dryport.agent.environment import NOT_ACTED_ON, VARIABLES, duration
from dryport.agent.gpus import NONE
from dryport.agent.runtime import PullError, RegistryAuth, RuntimeFailure
from dryport.agent.settings import Settings, load

OPTIONS = ["--state-dir", "/s", "--endpoint", "http://e"]
DEFAULTS = Settings(endpoint="http://e", state_dir=Path("/s"))


def made(**environment: str) -> Settings:
    return load(OPTIONS, environment)


def test_durations() -> None:
    assert [duration(t) for t in ("250ms", "90s", "1h30m", "1.5m")] == [0.25, 90.0, 5400.0, 90.0]
    for wrong in ("", "5", "s", "1h x"):
        with pytest.raises(ValueError, match="no duration"):
            duration(wrong)
    assert [written(t) for t in (180, 7200, 30, 90.5)] == ["3m0s", "2h0m0s", "30s", "1m30.5s"]


@pytest.mark.parametrize(
    ("variable", "text", "setting", "value"),
    [
        ("ECS_RESERVED_PORTS", "[22, 8080]", "reserved_ports", (22, 8080)),
        ("ECS_RESERVED_PORTS_UDP", "[53]", "reserved_ports_udp", (53,)),
        ("ECS_DYNAMIC_HOST_PORT_RANGE", "40000-40009", "dynamic_host_ports", (40000, 40009)),
        ("ECS_CONTAINER_STOP_TIMEOUT", "10ms", "stop_timeout", 1.0),
        ("ECS_CONTAINER_START_TIMEOUT", "1s", "start_timeout", 45.0),
        ("ECS_CONTAINER_CREATE_TIMEOUT", "1s", "create_timeout", 60.0),
        ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "2s", "task_cleanup_wait", 2.0),
        ("ECS_DISABLE_IMAGE_CLEANUP", "true", "image_cleanup", False),
        ("ECS_IMAGE_CLEANUP_INTERVAL", "15m", "image_cleanup_interval", 900.0),
        ("ECS_IMAGE_PULL_BEHAVIOR", "once", "image_pull_behavior", "once"),
        ("ECS_DISABLE_METRICS", "T", "metrics", False),
        ("ECS_POLLING_METRICS_WAIT_DURATION", "1m", "metrics_interval", 20.0),
        ("ECS_LOGLEVEL", "warn", "log_level", "WARNING"),
        ("DOCKER_HOST", "unix:///run/other.sock", "runtime_address", Path("/run/other.sock")),
        ("ECS_TASK_PIDS_LIMIT", "100", "task_pids", 100),
    ],
)
def test_values(variable: str, text: str, setting: str, value: object) -> None:
    found = made(**{variable: text})
    assert getattr(found, setting) == value and found.warnings == ()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("ECS_RESERVED_PORTS", "22,80"),
        ("ECS_RESERVED_PORTS", "[0]"),
        ("ECS_RESERVED_MEMORY", "-1"),
        ("ECS_RESERVED_MEMORY", "1GB"),
        ("ECS_CONTAINER_STOP_TIMEOUT", "soon"),
        ("ECS_IMAGE_CLEANUP_INTERVAL", "9m"),
        ("ECS_NUM_IMAGES_DELETE_PER_CYCLE", "0"),
        ("ECS_IMAGE_PULL_BEHAVIOR", "never"),
        ("ECS_DISABLE_PRIVILEGED", "yes"),
        ("ECS_DYNAMIC_HOST_PORT_RANGE", "50000-40000"),
        ("ECS_LOGLEVEL", "loud"),
        ("ECS_TASK_PIDS_LIMIT", "0"),
        ("DOCKER_HOST", "tcp://1.2.3.4:2375"),
    ],
)
def test_a_value_that_cannot_be_read_leaves_the_default_and_is_told_of(variable: str, text: str) -> None:
    found = made(**{variable: text})
    setting = VARIABLES[variable].setting
    assert getattr(found, setting) == getattr(DEFAULTS, setting)
    (warning,) = found.warnings
    assert (warning.startswith(f"{variable} is ignored") and repr(text) in warning) or "no JSON" in warning


@pytest.mark.parametrize("variable", ["ECS_INSTANCE_ATTRIBUTES", "ECS_CONTAINER_INSTANCE_TAGS"])
def test_attributes_and_tags_that_cannot_be_read_end_the_agent(
    variable: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        made(**{variable: "rack=7"})
    assert variable in capsys.readouterr().err


def test_what_is_not_acted_on_is_told_by_name() -> None:
    found = made(**dict.fromkeys(NOT_ACTED_ON, "true"), ECS_NO_SUCH_THING="1", PATH="/bin", ECS_CLUSTER="")
    assert len(found.warnings) == len(NOT_ACTED_ON) + 1
    for name in NOT_ACTED_ON:
        assert any(warning.startswith(f"{name} is not acted on") for warning in found.warnings)
    assert "ECS_NO_SUCH_THING is no setting of this agent" in found.warnings
    assert not set(NOT_ACTED_ON) & set(VARIABLES)


def test_the_page_of_settings_names_every_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "agent-settings.md").read_text()
    assert [name for name in (*VARIABLES, *NOT_ACTED_ON) if f"`{name}`" not in page] == []


def test_settings_that_decide_what_the_instance_can_do() -> None:
    prefix = "com.amazonaws.ecs.capability."

    def can(**environment: str) -> set[str]:
        return {each["name"] for each in capabilities(made(**environment))}

    everything = can()
    for variable, attribute in (
        ("ECS_ENABLE_TASK_IAM_ROLE", prefix + "task-iam-role"),
        ("ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST", prefix + "task-iam-role-network-host"),
        ("ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE", "ecs.capability.execution-role-awslogs"),
        ("ECS_ENABLE_TASK_CPU_MEM_LIMIT", "ecs.capability.task-cpu-mem-limit"),
    ):
        assert everything - can(**{variable: "false"}) == {attribute}
    assert can(ECS_SELINUX_CAPABLE="true") - everything == {prefix + "selinux"}
    assert everything - can(ECS_DISABLE_PRIVILEGED="true") == {prefix + "privileged-container"}
    resources = {
        each["name"]: each
        for each in total_resources(
            load([*OPTIONS, "--memory", "1000"], {"ECS_RESERVED_MEMORY": "100", "ECS_RESERVED_PORTS": "[9]"}), NONE
        )
    }
    assert resources["MEMORY"]["integerValue"] == 900 and resources["PORTS"]["stringSetValue"] == ["9"]


async def test_a_step_that_takes_too_long() -> None:
    with pytest.raises(
        RuntimeFailure, match=r"Could not transition to started; timed out after waiting 0\.01s"
    ) as found:
        await within(0.01, "started", asyncio.sleep(60))
    assert found.value.kind == "DockerTimeoutError"
    with pytest.raises(PullError):
        await within(0.01, "pulled", asyncio.sleep(60))


@pytest.fixture
def root_log() -> Iterator[logging.Logger]:
    """The root logger, as it was afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    yield root
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_log_goes_to_its_file(root_log: logging.Logger, tmp_path: Path) -> None:
    file = tmp_path / "ecs" / "agent.log"
    settings = made(
        ECS_LOGFILE=str(file), ECS_LOG_OUTPUT_FORMAT="json", ECS_LOGLEVEL_ON_INSTANCE="warn", ECS_UPDATES_ENABLED="1"
    )
    own_log.configure(settings)
    logging.getLogger("dryport.agent").info("not in the file")
    logging.getLogger("dryport.agent").error('a "quoted" word')
    told = lines(file)
    assert [each["msg"] for each in told] == [
        "ECS_UPDATES_ENABLED is not acted on: " + NOT_ACTED_ON["ECS_UPDATES_ENABLED"],
        'a "quoted" word',
    ]
    assert told[1]["level"] == "error" and told[1]["time"].endswith("Z")


def test_the_log_rolls_over_by_size(root_log: logging.Logger, tmp_path: Path) -> None:
    file = tmp_path / "agent.log"
    own_log.configure(
        made(
            ECS_LOGFILE=str(file),
            ECS_LOG_ROLLOVER_TYPE="size",
            ECS_LOG_MAX_FILE_SIZE_MB="1",
            ECS_LOG_MAX_ROLL_COUNT="2",
            ECS_LOGLEVEL="crit",
            ECS_LOGLEVEL_ON_INSTANCE="info",
        )
    )
    for _ in range(50):
        logging.getLogger("dryport.agent").info("x" * 100_000)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["agent.log", "agent.log.1", "agent.log.2"]


def test_logfmt() -> None:
    line = own_log.Lines("logfmt").format(logging.makeLogRecord({"msg": 'say "hi"', "levelname": "INFO", "name": "m"}))
    assert line.startswith("level=info time=") and line.endswith('msg="say \\"hi\\"" module=m')


def test_credentials_of_registries() -> None:
    auth = base64.b64encode(b"me:se:cret").decode()
    data = {"https://index.docker.io/v1/": {"auth": auth}, "own.example:5000": {"username": "u", "password": "p"}}
    found = made(ECS_ENGINE_AUTH_TYPE="dockercfg", ECS_ENGINE_AUTH_DATA=json.dumps(data))
    assert found.warnings == () and "se:cret" not in repr(found)
    hub, own = RegistryAuth(username="me", password="se:cret"), RegistryAuth(username="u", password="p")
    wanted = {
        "busybox": hub,
        "library/busybox": hub,
        "docker.io/x/y": hub,
        "own.example:5000/a": own,
        "other.io/a": None,
    }
    assert {image: registries.of_image(image, found.registry_auth) for image in wanted} == wanted
    for wrong in ("[]", '{"r": {"auth": "?secret?"}}', '{"r": {"username": "secret"}}'):
        refused = made(ECS_ENGINE_AUTH_TYPE="docker", ECS_ENGINE_AUTH_DATA=wrong)
        assert refused.registry_auth == {} and len(refused.warnings) == 1 and "secret" not in refused.warnings[0]
