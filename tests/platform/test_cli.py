"""The ``dryport`` command, as a person types it."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dryport.cli.instances import Row, rows
from dryport.client import ec2
from tests.conftest import DRYPORT, Platform

pytestmark = pytest.mark.platform


def test_env_gives_what_the_aws_cli_needs(platform: Platform) -> None:
    lines = platform.dryport("env").stdout.splitlines()
    exported = dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))
    assert exported["AWS_ENDPOINT_URL"] == platform.endpoint
    command = [sys.executable, "-m", "awscli", "sts", "get-caller-identity", "--query", "Arn", "--output", "text"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(command, env={**clean, **exported}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "arn:aws:iam::000000000000:root"


def test_key_files_are_the_owners_alone(platform: Platform) -> None:
    for name in ("credentials.json", "agent-credentials.json", "control.db", "logs.db", "run/host.sock"):
        assert (platform.state_dir / name).stat().st_mode & 0o077 == 0, name


def test_the_endpoint_is_on_loopback_and_in_the_vpcs_alone(platform: Platform) -> None:
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            if state == "0A" and int(address.rsplit(":", 1)[1], 16) == platform.port:
                raw = bytes.fromhex(address.rsplit(":", 1)[0])
                words = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
                listening.add(socket.inet_ntop(socket.AF_INET if len(words) == 4 else socket.AF_INET6, words))
    assert listening == {"127.0.0.1", "::1", platform.config.public_network.split("/")[0].removesuffix("0") + "1"}


def test_status_names_every_process(platform: Platform) -> None:
    shown = platform.dryport("status").stdout
    for process in ("supervisor", "control", "host", "containerd", "agent"):
        assert str(platform.pid(process)) in shown
    assert "answers" in shown


def test_status_shows_instances(platform: Platform) -> None:
    assert "instances in eu-west-3" not in platform.dryport("status", "--region", "eu-west-3").stdout
    paris = platform.client("ec2", region="eu-west-3")
    image = platform.client("ssm", region="eu-west-3").get_parameter(
        Name="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    )["Parameter"]["Value"]
    made = paris.run_instances(ImageId=image, InstanceType="t3.nano", MinCount=1, MaxCount=1)["Instances"][0]
    shown = platform.dryport("status", "--region", "eu-west-3").stdout
    (line,) = [line.split() for line in shown.splitlines() if made["InstanceId"] in line]
    assert line[1] == "t3.nano" and line[2] in ("pending", "running")
    paris.terminate_instances(InstanceIds=[made["InstanceId"]])


def test_status_shows_load_balancers(platform: Platform) -> None:
    assert "load balancers in eu-west-3" not in platform.dryport("status", "--region", "eu-west-3").stdout
    paris = platform.client("elbv2", region="eu-west-3")
    subnets = platform.client("ec2", region="eu-west-3").describe_subnets()["Subnets"]
    made = paris.create_load_balancer(Name="shown", Subnets=[each["SubnetId"] for each in subnets])["LoadBalancers"][0]
    shown = platform.dryport("status", "--region", "eu-west-3").stdout
    (line,) = [line.split() for line in shown.splitlines() if made["DNSName"] in line]
    assert line[:3] == ["shown", "application", "internet-facing"] and line[3] in ("provisioning", "active")
    paris.delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])


def test_the_lines_of_instances() -> None:
    def registered(id: str | None, **more: object) -> dict[str, object]:
        arn = f"arn:aws:ecs:us-east-1:000000000000:container-instance/fleet/{id or 'abc'}"
        known = {"ec2InstanceId": id} if id else {}
        state = {"status": "ACTIVE", "agentConnected": True, "runningTasksCount": 3}
        return {"containerInstanceArn": arn, **known, **state, **more}

    machines = [
        ec2.Instance("i-1", "t3.small", "running", "10.0.0.1", "198.18.0.1"),
        ec2.Instance("i-2", "t3.nano", "stopped", "10.0.0.2", ""),
        ec2.Instance("i-3", "t3.nano", "terminated", "", ""),
    ]
    clusters = [
        registered("i-1", status="DRAINING"),
        registered("mi-1", agentConnected=False, runningTasksCount=0),
        registered(None),
        registered("i-3"),
    ]
    assert rows(machines, clusters) == [
        Row("i-1", "t3.small", "running (draining)", "fleet", "connected", "3", "198.18.0.1"),
        Row("i-2", "t3.nano", "stopped", address="10.0.0.2"),
        Row("mi-1", "external", "active", "fleet", "away", "0"),
        Row("abc", "external", "active", "fleet", "connected", "3"),
    ]


@pytest.mark.parametrize("command", ["join", "leave"])
def test_help_has_examples(command: str) -> None:
    shown = subprocess.run([*DRYPORT, command, "--help"], capture_output=True, text=True, check=True).stdout
    assert f"\n  dryport {command}" in shown or f"\n    dryport {command} " in shown


def test_a_second_up_is_refused(platform: Platform) -> None:
    done = platform.dryport("up", "--detach", check=False)
    assert done.returncode == 1
    assert "running already" in done.stderr


def test_a_taken_port_is_refused(platform: Platform, tmp_path: Path) -> None:
    command = [*DRYPORT, "up", "--state-dir", str(tmp_path), "--port", str(platform.port)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"port {platform.port} is taken" in done.stderr


def test_what_was_never_started(tmp_path: Path) -> None:
    for command in ("env", "status", "down"):
        done = subprocess.run([*DRYPORT, command, "--state-dir", str(tmp_path)], capture_output=True, text=True)
        assert done.returncode == 1
        assert "Dryport" in done.stderr


def test_another_user_than_root_is_told(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    script = (root / "bin" / "quickstart").read_text()
    # Nobody may not read the checkout wherever it lies: the script and what it sources go where he may.
    (tmp_path / "bin").mkdir()
    for name in ("_setup.sh", "debian-packages"):
        (tmp_path / "bin" / name).write_text((root / "bin" / name).read_text())
    (tmp_path / "bin" / "quickstart").write_text(script)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    done = subprocess.run([*as_nobody, "bash", str(tmp_path / "bin" / "quickstart")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "needs root" in done.stderr


def test_doctor_finds_this_machine_fit() -> None:
    done = subprocess.run([*DRYPORT, "doctor"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "MISSING" not in done.stdout


def test_doctor_says_what_is_missing_and_what_mends_it() -> None:
    hidden = subprocess.run(
        [sys.executable, "-c", _WITHOUT_RUNC], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert "apt-get install -y runc" in hidden.stdout + hidden.stderr
    assert hidden.returncode == 1


_WITHOUT_RUNC = """
import shutil
found = shutil.which
shutil.which = lambda name, **settings: None if name == "runc" else found(name, **settings)
from dryport.cli.main import main
main(["doctor"])
"""
