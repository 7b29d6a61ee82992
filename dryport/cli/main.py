"""``dryport``: the command line."""

from __future__ import annotations

import click

from dryport import __version__
from dryport.cli import doctor, environment, join, lifecycle, status


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dryport")
def main() -> None:
    """Amazon ECS, ECR and Fargate on machines that you own.

    \b
    dryport up --detach            start the platform
    eval "$(dryport env)"          point the AWS CLI and SDKs at it
    aws ecs list-clusters          use it
    dryport down                   stop it
    """


main.add_command(lifecycle.up)
main.add_command(lifecycle.down)
main.add_command(status.status)
main.add_command(doctor.doctor)
main.add_command(environment.environment)
main.add_command(join.join)

if __name__ == "__main__":
    main()
