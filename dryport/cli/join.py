"""``dryport join``: this machine becomes a container instance of a Dryport, here or elsewhere."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

import click

from dryport.cli import doctor, options

_STATE_DIR = Path("/var/lib/dryport-agent")
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def _require_answer(endpoint: str) -> None:
    try:
        with urllib.request.urlopen(f"{endpoint}/_dryport/health", timeout=5) as answer:
            answer.read()
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise options.Failure(f"{endpoint} does not answer as a Dryport does: {error}") from None


@click.command()
@click.argument("endpoint")
@click.option("--cluster", default="default", show_default=True, help="The cluster to join; it must exist.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=_STATE_DIR,
    show_default=True,
    help="Where the agent remembers its instance and its tasks.",
)
@click.option("--attributes", help='Attributes of the instance, as JSON: {"rack": "7"}.')
def join(endpoint: str, cluster: str, state_dir: Path, attributes: str | None) -> None:
    """Run the container agent on this machine, with its Docker, until Ctrl-C; tasks outlive it.

    The access key comes from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as `dryport env` prints them where the
    platform runs. Started again with the same --state-dir it is the same instance.

    \b
    dryport join http://dryport.example:4566 --cluster default
    aws ecs run-task --launch-type EXTERNAL --task-definition app
    """
    doctor.require_docker()
    if missing := [name for name in _KEYS if not os.environ.get(name)]:
        raise options.Failure(
            f'set {" and ".join(missing)}: `eval "$(dryport env)"` where the platform runs shows them'
        )
    endpoint = endpoint.rstrip("/")
    _require_answer(endpoint)
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    arguments = ["--endpoint", endpoint, "--cluster", cluster, "--runtime", "docker", "--state-dir", str(state_dir)]
    if attributes:
        arguments += ["--attributes", attributes]
    click.echo(f"this machine joins the cluster {cluster} at {endpoint} (Ctrl-C leaves; tasks go on)")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "dryport.agent.main", *arguments])
