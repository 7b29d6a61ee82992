"""``dryport status``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from dryport.cli import options
from dryport.cli.processes import answers, memory, pid_of
from dryport.control.config import load

PROCESSES = ("supervisor", "control", "host", "containerd", "agent")


@click.command()
@options.state_dir
def status(state_dir: Path) -> None:
    """Show what runs of this Dryport. Exit status 1 if the endpoint does not answer."""
    try:
        config = load(state_dir)
    except FileNotFoundError:
        raise options.Failure(f"no Dryport was started with the state {state_dir}: run `dryport up` first") from None
    table = Table("process", "pid", "memory", box=None)
    for name in PROCESSES:
        pid = pid_of(state_dir, name)
        table.add_row(name, str(pid) if pid else "not running", f"{memory(pid) / 1e6:.0f} MB" if pid else "")
    console = Console()
    console.print(table)
    up = answers(config.port)
    console.print(f"\nendpoint {config.endpoint}: " + ("answers" if up else "[bold]does not answer[/bold]"))
    console.print(f"state    {state_dir}")
    if not up:
        raise SystemExit(1)
