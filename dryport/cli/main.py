"""``dryport``: the command line."""

from __future__ import annotations

import importlib

import click

from dryport import __version__

# Each command's module and the command in it; a command's module is imported when it is called or listed.
_COMMANDS = {
    "account": ("account", "account"),
    "up": ("lifecycle", "up"),
    "down": ("lifecycle", "down"),
    "status": ("status", "status"),
    "doctor": ("doctor", "doctor"),
    "explain": ("explain", "explain"),
    "env": ("environment", "environment"),
    "join": ("join", "join"),
    "leave": ("join", "leave"),
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"dryport.cli.{module}"), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dryport")
def main() -> None:
    """Amazon ECS, ECR and Fargate on machines that you own.

    \b
    dryport up --detach            start the platform
    eval "$(dryport env)"          point the AWS CLI and SDKs at it
    aws ecs list-clusters          use it
    dryport down                   stop it
    """


if __name__ == "__main__":
    main()
