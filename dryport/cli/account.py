"""``dryport account``: several AWS accounts in one Dryport."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from dryport.cli import options
from dryport.cli.explain import call
from dryport.platform import credentials


@click.group()
def account() -> None:
    """Make AWS accounts in this Dryport, list them, rotate the keys of their root users.

    Each has resources, users and roles of its own, and sees nothing of the others' but what these allow it.

    \b
    dryport account create staging
    eval "$(dryport env --account staging)"     # as its root user
    dryport account list
    dryport account rotate staging              # another key: the old one is refused from now on
    """


def _keep(state_dir: Path, made: dict[str, Any]) -> Path:
    key = credentials.KeyFile(made["key"]["accessKeyId"], made["key"]["secretAccessKey"])
    return credentials.write_account_key(state_dir, (made["account"]["name"], made["account"]["id"]), key)


@account.command()
@click.argument("name")
@options.state_dir
def create(name: str, state_dir: Path) -> None:
    """Make an account, with a key of its root user, which is kept in the state directory (mode 0600).

    \b
    dryport account create staging
    """
    made = call(state_dir, "CreateAccount", {"name": name})
    path = _keep(state_dir, made)
    click.echo(f"account {made['account']['id']} ({name}); its root user's key is in {path}")
    click.echo(f'Next: eval "$(dryport env --account {name})"', err=True)


@account.command("list")
@options.state_dir
def list_all(state_dir: Path) -> None:
    """List the accounts.

    \b
    dryport account list
    """
    table = Table("ID", "NAME", "MADE", box=None)
    for each in call(state_dir, "ListAccounts", {})["accounts"]:
        made = datetime.fromtimestamp(each["createdAt"]).isoformat(" ", "seconds") if "createdAt" in each else ""
        table.add_row(each["id"], each["name"], made)
    Console().print(table)


@account.command()
@click.argument("name")
@options.state_dir
def rotate(name: str, state_dir: Path) -> None:
    """Give the root user of an account (NAME or id) another key. Those that it had are refused from then on.

    \b
    dryport account rotate staging
    """
    known = {each["name"]: each["id"] for each in call(state_dir, "ListAccounts", {})["accounts"]}
    made = call(state_dir, "RotateAccountKey", {"accountId": known.get(name, name)})
    click.echo(f"account {made['account']['id']} has another key, in {_keep(state_dir, made)}")
