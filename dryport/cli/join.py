"""``dryport join`` and ``dryport leave``: this machine is a container instance of a Dryport, here or elsewhere."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

import click
import msgspec

from dryport.cli import doctor, options
from dryport.client import managed
from dryport.control.config import DEFAULT_REGION

_STATE_DIR = Path("/var/lib/dryport-agent")
_IDENTITY = "identity.json"
_NEW_KEY = "identity.key"  # of a machine that has asked to join and has no answer yet
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

state_dir_option = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=_STATE_DIR,
    show_default=True,
    help="Where the agent remembers its instance and its tasks.",
)


def _require_answer(endpoint: str) -> None:
    try:
        with urllib.request.urlopen(f"{endpoint}/_dryport/health", timeout=5) as answer:
            answer.read()
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise options.Failure(f"{endpoint} does not answer as a Dryport does: {error}") from None


def _require_keys() -> None:
    if missing := [name for name in _KEYS if not os.environ.get(name)]:
        raise options.Failure(
            f'set {" and ".join(missing)}: `eval "$(dryport env)"` where the platform runs shows them; '
            "or give --activation-id and --activation-code"
        )


def load_identity(state_dir: Path) -> managed.Identity | None:
    """The identity that this machine got by an activation, ``None`` without one. Raises options.Failure."""
    try:
        return managed.load(state_dir / _IDENTITY)
    except (OSError, msgspec.MsgspecError) as error:
        raise options.Failure(f"{state_dir / _IDENTITY}: {error}") from None


def _exchange(endpoint: str, state_dir: Path, activation_id: str, activation_code: str) -> managed.Identity:
    """Be a managed machine by an activation. Asking again with the same key is harmless, so it is kept beforehand."""
    key_file = state_dir / _NEW_KEY
    try:
        key = key_file.read_bytes()
    except FileNotFoundError:
        key = managed.new_key()
        with open(os.open(key_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(key)
    try:
        identity = managed.join(endpoint, activation_id, activation_code, key)
    except (managed.Refused, managed.Unanswered) as error:
        raise options.Failure(str(error)) from None
    managed.save(state_dir / _IDENTITY, identity)
    key_file.unlink()
    return identity


@click.command()
@click.argument("endpoint")
@click.option("--cluster", default="default", show_default=True, help="The cluster to join; it must exist.")
@state_dir_option
@click.option("--attributes", help='Attributes of the instance, as JSON: {"rack": "7"}.')
@click.option("--activation-id", help="Id of an activation (aws ssm create-activation).")
@click.option("--activation-code", envvar="DRYPORT_ACTIVATION_CODE", help="Its code, or DRYPORT_ACTIVATION_CODE.")
def join(
    endpoint: str,
    cluster: str,
    state_dir: Path,
    attributes: str | None,
    activation_id: str | None,
    activation_code: str | None,
) -> None:
    """Run the container agent on this machine, with its Docker, until Ctrl-C; tasks outlive it.

    With an activation the machine is given credentials of the activation's role, renewed for as long as it is joined.
    Without one the access key comes from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as `dryport env` prints them
    where the platform runs. Started again with the same --state-dir it is the same instance, and needs neither again.

    The agent's other settings are taken from the environment, as AWS's agent has them (docs/agent-settings.md).

    \b
    With an activation, which is made where the platform runs:
      aws ssm create-activation --iam-role ecsAnywhereRole
      dryport join http://dryport.example:4566 --cluster edge --activation-id ID --activation-code CODE

    \b
    With keys, attributes and settings:
      export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…
      ECS_RESERVED_MEMORY=512 dryport join http://dryport.example:4566 --attributes '{"rack": "7"}'

    \b
    Then, anywhere:
      aws ecs run-task --cluster edge --launch-type EXTERNAL --task-definition app
    """
    doctor.require_docker()
    if bool(activation_id) != bool(activation_code):
        raise options.Failure("give both of --activation-id and --activation-code, or neither")
    endpoint = endpoint.rstrip("/")
    identity = load_identity(state_dir)
    if identity is None and not activation_id:
        _require_keys()
    _require_answer(endpoint)
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if identity is None and activation_id and activation_code:
        identity = _exchange(endpoint, state_dir, activation_id, activation_code)
    arguments = ["--endpoint", endpoint, "--cluster", cluster, "--runtime", "docker", "--state-dir", str(state_dir)]
    who = "this machine"
    if identity is not None:
        managed.save(state_dir / _IDENTITY, msgspec.structs.replace(identity, endpoint=endpoint))
        arguments += ["--managed-identity", str(state_dir / _IDENTITY), "--region", identity.region]
        who = f"this machine, {identity.instance_id},"
    region = identity.region if identity is not None else os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    joined = {"endpoint": endpoint, "region": region}
    (state_dir / "joined.json").write_bytes(msgspec.json.encode(joined))
    if attributes:
        arguments += ["--attributes", attributes]
    click.echo(f"{who} joins the cluster {cluster} at {endpoint} (Ctrl-C ends the agent; tasks go on)")
    sys.stdout.flush()
    os.environ.pop("DRYPORT_ACTIVATION_CODE", None)
    os.execv(sys.executable, [sys.executable, "-m", "dryport.agent.main", *arguments])


@click.command()
@state_dir_option
def leave(state_dir: Path) -> None:
    """Undo `dryport join`: deregister this machine, remove its tasks' containers and what the agent remembers.

    The agent must have ended. Where the control plane does not answer, what is on this machine goes all the same.

    \b
    dryport leave
    dryport leave --state-dir /var/lib/edge-agent
    """
    arguments = ["-m", "dryport.agent.leaving", "--state-dir", str(state_dir)]
    os.execv(sys.executable, [sys.executable, *arguments])
