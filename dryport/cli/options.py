"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from dryport.control.config import DEFAULT_STATE_DIR

state_dir = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_STATE_DIR,
    envvar="DRYPORT_STATE_DIR",
    show_default=True,
    help="Where the state is kept (also: DRYPORT_STATE_DIR).",
)


class Failure(click.ClickException):
    """A refusal that says what to do; exit status 1."""
