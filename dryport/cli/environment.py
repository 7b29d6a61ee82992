"""``dryport env``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from dryport.cli import options
from dryport.control.config import DEFAULT_REGION, load
from dryport.platform import credentials


@click.command("env")
@click.option("--account", metavar="NAME", help="An account that `dryport account create` made, by name or id.")
@options.state_dir
def environment(state_dir: Path, account: str | None) -> None:
    """Print the variables that point the AWS CLI and SDKs at this Dryport.

    \b
    eval "$(dryport env)"
    eval "$(dryport env --account staging)"
    """
    try:
        config = load(state_dir)
        path = credentials.root_key_path(state_dir)
        if account is not None:
            path = credentials.account_key_path(state_dir, account)
        key = credentials.read(path)
    except FileNotFoundError:
        if account is not None and (state_dir / "config.json").exists():
            raise options.Failure(f"there is no key of an account {account} here: see `dryport account list`") from None
        raise options.Failure(f"no Dryport was started with the state {state_dir}: run `dryport up` first") from None
    except PermissionError as error:
        raise options.Failure(f"{error.filename} can be read by its owner only: run this as that user") from None
    for name, value in {
        "AWS_ENDPOINT_URL": config.endpoint,
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",  # DiscoverInstances is asked of data-localhost otherwise
    }.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    click.echo("unset AWS_SESSION_TOKEN AWS_PROFILE")
