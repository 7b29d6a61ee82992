"""``dryport status``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from dryport.cli import instances, options
from dryport.cli.processes import answers, memory, pid_of
from dryport.client import ApiError, Credentials, Unreachable
from dryport.control.config import DEFAULT_REGION, load
from dryport.platform import credentials

_WIDE = 200
PROCESSES = ("supervisor", "control", "host", "containerd", "agent")


@click.command()
@options.state_dir
@click.option("--region", default=DEFAULT_REGION, envvar="AWS_DEFAULT_REGION", show_default=True)
def status(state_dir: Path, region: str) -> None:
    """Show what runs of this Dryport, and the instances of a region. Exit status 1 if the endpoint does not answer."""
    try:
        config = load(state_dir)
    except FileNotFoundError:
        raise options.Failure(f"no Dryport was started with the state {state_dir}: run `dryport up` first") from None
    table = Table("process", "pid", "memory", box=None)
    for name in PROCESSES:
        pid = pid_of(state_dir, name)
        table.add_row(name, str(pid) if pid else "not running", f"{memory(pid) / 1e6:.0f} MB" if pid else "")
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)  # so that programs get a line an instance
    console.print(table)
    up = answers(config.port)
    console.print(f"\nendpoint {config.endpoint}: " + ("answers" if up else "[bold]does not answer[/bold]"))
    console.print(f"state    {state_dir}")
    if not up:
        raise SystemExit(1)
    _show_instances(console, config.endpoint, region, state_dir)


def _show_instances(console: Console, endpoint: str, region: str, state_dir: Path) -> None:
    try:
        key = credentials.read(credentials.root_key_path(state_dir))
    except PermissionError as error:
        raise options.Failure(f"{error.filename} can be read by its owner only: run this as that user") from None
    try:
        found = asyncio.run(instances.fetch(endpoint, region, Credentials(key.access_key_id, key.secret_access_key)))
    except (ApiError, Unreachable) as error:
        raise options.Failure(f"the instances in {region} cannot be listed: {error}") from None
    if found:
        table = Table("instance", "type", "state", "cluster", "agent", "tasks", "address", box=None)
        for row in found:
            table.add_row(*row)
        console.print(f"\ninstances in {region}")
        console.print(table)
