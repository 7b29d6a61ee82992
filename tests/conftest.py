"""The running platform, for tests with real clients."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as ClientConfig

from dryport.control.config import Config, load
from dryport.gateway.models import OWN_MODELS
from dryport.platform import credentials
from tests.platform.roles import make_roles
from tests.ports import free_port

os.environ["AWS_DISABLE_HOST_PREFIX_INJECTION"] = "true"  # as `dryport env` has it
os.environ["AWS_DATA_PATH"] = str(OWN_MODELS)  # boto3 and the AWS CLI know Dryport's own operations too
DRYPORT = [sys.executable, "-m", "dryport.cli.main"]


class Platform:
    """A Dryport of the tests' own, started as a user starts it."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.port = free_port()

    @property
    def config(self) -> Config:
        return load(self.state_dir)

    @property
    def endpoint(self) -> str:
        return f"http://localhost:{self.port}"

    def dryport(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the ``dryport`` command on this state."""
        command = [*DRYPORT, arguments[0], "--state-dir", str(self.state_dir), *arguments[1:]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=150, env=self._environment())
        if check and done.returncode:
            raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}{self.logs()}")
        return done

    def logs(self, lines: int = 30) -> str:
        """The last lines of every process's log."""
        texts = []
        for path in sorted((self.state_dir / "log").glob("*.log")):
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            texts.append("\n".join([f"--- {path.name}", *tail]))
        return "\n".join(texts)

    def up(self, *options: str) -> None:
        self.dryport("up", "--detach", "--port", str(self.port), *options)

    def down(self, *arguments: str) -> None:
        self.dryport("down", *arguments)

    def restart(self) -> None:
        """Stop everything but the tasks, and start again."""
        self.down("--keep-tasks")
        self.up()

    def pid(self, process: str) -> int:
        """The process id of ``control``, ``agent``, ``host``, ``containerd`` or ``supervisor``."""
        return int((self.state_dir / "run" / f"{process}.pid").read_text())

    def client(self, service: str, region: str = "us-east-1", **options: Any) -> Any:
        """A boto3 client with the root key."""
        key = credentials.read(credentials.root_key_path(self.state_dir))
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
            config=ClientConfig(retries={"max_attempts": 0}, **options),
        )

    def aws_environment(self) -> dict[str, str]:
        """What ``dryport env`` sets."""
        key = credentials.read(credentials.root_key_path(self.state_dir))
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": key.access_key_id,
            "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
        }

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "DRYPORT_CHECK_ANSWERS": "1"}

    def cli(self, *arguments: str) -> Any:
        """Run the AWS CLI and return its decoded JSON, or its text."""
        done = subprocess.run(
            [sys.executable, "-m", "awscli", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, **self.aws_environment()},
        )
        if done.returncode:
            raise AssertionError(f"aws {' '.join(arguments)}: {done.stderr}{self.logs()}")
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout


def make_platform() -> Iterator[Platform]:
    """A started platform in a short-named scratch directory (unix sockets have short paths), removed afterwards."""
    if os.geteuid() != 0:
        pytest.fail("these tests start containers and network namespaces: run them as root")
    state_dir = Path(tempfile.mkdtemp(prefix="dp-", dir="/tmp"))
    made = Platform(state_dir)
    try:
        made.up()
        make_roles(made.client("iam"))
        yield made
    finally:
        made.dryport("down", check=False)
        shutil.rmtree(state_dir, ignore_errors=True)


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The platform that most tests share: leave no state behind that another test could trip over."""
    yield from make_platform()


@pytest.fixture
def own_platform() -> Iterator[Platform]:
    """A platform for one test alone: for killing, restarting, filling."""
    yield from make_platform()
