"""``dryport status``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import click
from rich.console import Console
from rich.table import Table

from dryport.cli import instances, options
from dryport.cli.processes import answers, memory, pid_of
from dryport.client import ApiError, Client, Credentials, Unreachable, elb
from dryport.control.config import DEFAULT_REGION, load
from dryport.platform import credentials

_WIDE = 200
PROCESSES = ("supervisor", "control", "host", "containerd", "agent", "moto")


@click.command()
@options.state_dir
@click.option("--region", default=DEFAULT_REGION, envvar="AWS_DEFAULT_REGION", show_default=True)
def status(state_dir: Path, region: str) -> None:
    """Show what runs of this Dryport, and the instances and load balancers of a region.

    Exit status 1 if the endpoint does not answer.

    \b
    dryport status
    dryport status --region eu-west-1
    """
    try:
        config = load(state_dir)
    except FileNotFoundError:
        raise options.Failure(f"no Dryport was started with the state {state_dir}: run `dryport up` first") from None
    table = Table("process", "pid", "memory", box=None)
    for name in PROCESSES:
        pid = pid_of(state_dir, name)
        if name == "moto" and not any(one.to == "moto" for one in config.forwards):
            continue
        table.add_row(name, str(pid) if pid else "not running", f"{memory(pid) / 1e6:.0f} MB" if pid else "")
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)  # so that programs get a line an instance
    console.print(table)
    up = answers(config.port)
    console.print(f"\nendpoint {config.endpoint}: " + ("answers" if up else "[bold]does not answer[/bold]"))
    console.print(f"state    {state_dir}")
    for forward in config.forwards:
        console.print(f"forward  {forward.service} to {forward.to}")
    if not up:
        raise SystemExit(1)
    _show_region(console, config.endpoint, region, state_dir)


def _show_region(console: Console, endpoint: str, region: str, state_dir: Path) -> None:
    try:
        key = credentials.read(credentials.root_key_path(state_dir))
    except PermissionError as error:
        raise options.Failure(f"{error.filename} can be read by its owner only: run this as that user") from None
    try:
        made, balancers = asyncio.run(_fetch(endpoint, region, Credentials(key.access_key_id, key.secret_access_key)))
    except (ApiError, Unreachable) as error:
        raise options.Failure(f"what is in {region} cannot be listed: {error}") from None
    if made:
        table = Table("instance", "type", "state", "cluster", "agent", "tasks", "address", box=None)
        for row in made:
            table.add_row(*row)
        console.print(f"\ninstances in {region}")
        console.print(table)
    if balancers:
        table = Table("load balancer", "type", "scheme", "state", "name", box=None)
        for balancer in balancers:
            table.add_row(*balancer)
        console.print(f"\nload balancers in {region}")
        console.print(table)


async def _fetch(
    endpoint: str, region: str, credentials: Credentials
) -> tuple[list[instances.Row], list[elb.Balancer]]:
    made = await instances.fetch(endpoint, region, credentials)
    async with aiohttp.ClientSession() as session:
        return made, await elb.balancers(Client(session, endpoint, region), credentials)
