"""``dryport up`` and ``dryport down``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import click

from dryport.cli import doctor, options
from dryport.cli.processes import alive, answers, supervisor_pid
from dryport.control.config import DEFAULT_PORT, DEFAULT_STATE_DIR, Config, load
from dryport.forwarding import keys, targets

START_SECONDS = 30.0
DOWN_SECONDS = 90.0


def _command(
    state_dir: Path,
    port: int,
    listen: Sequence[str],
    forward: Sequence[str],
    keys: Path | None,
    dev_credentials: bool,
) -> list[str]:
    command = [sys.executable, "-m", "dryport.platform.supervisor"]
    command += ["--state-dir", str(state_dir), "--port", str(port)]
    for address in listen:
        command += ["--listen", address]
    for one in forward:
        command += ["--forward", one]
    if keys is not None:
        command += ["--forward-credentials", str(keys.resolve())]
    return [*command, "--dev-credentials"] if dev_credentials else command


def _forwards(_: click.Context, parameter: click.Parameter, texts: Sequence[str]) -> Sequence[str]:
    try:
        targets.read(texts)
    except targets.Wrong as error:
        raise click.BadParameter(str(error), param=parameter) from None
    return texts


def _keys(_: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None:
        try:
            keys.read(path)
        except keys.Unusable as error:
            raise click.BadParameter(str(error), param=parameter) from None
    return path


def _own_address(_: click.Context, parameter: click.Parameter, addresses: Sequence[str]) -> Sequence[str]:
    for address in addresses:
        try:
            family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
            with socket.socket(family) as probe:
                probe.bind((address, 0))
        except ValueError:
            raise click.BadParameter(f"{address} is no IP address", param=parameter) from None
        except OSError:
            raise click.BadParameter(f"this machine does not have the address {address}", param=parameter) from None
    return addresses


@click.command()
@options.state_dir
@click.option(
    "--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, help="The endpoint's port."
)
@click.option(
    "--listen",
    multiple=True,
    metavar="ADDRESS",
    callback=_own_address,
    help="Also answer at this address of the machine, for others that join. May be given several times.",
)
@click.option("--detach", is_flag=True, help="Return once the endpoint answers; the platform goes on.")
@click.option(
    "--forward",
    multiple=True,
    metavar="SERVICE=URL",
    callback=_forwards,
    help="Have a service that Dryport does not serve answered elsewhere, once its policies allow it: at a URL, by AWS "
    "(SERVICE=aws), or by moto on this machine (SERVICE=moto). May be given several times.",
)
@click.option(
    "--forward-credentials",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_keys,
    help="The keys to sign forwarded requests with: a file of mode 0600 in the format of AWS's credentials file, with "
    "a profile a service, or default.",
)
@click.option("--dev-credentials", is_flag=True, help="Also accept the keys test/test, from loopback only.")
def up(
    state_dir: Path,
    port: int,
    listen: Sequence[str],
    forward: Sequence[str],
    forward_credentials: Path | None,
    detach: bool,
    dev_credentials: bool,
) -> None:
    """Start the platform, or pick up where this state was: tasks that still run go on.

    \b
    dryport up --detach
    dryport up --state-dir /srv/dryport --port 4600
    dryport up --detach --listen 192.168.1.10      # plain HTTP: where the wire is yours
    dryport up --detach --forward sqs=moto --forward dynamodb=http://localhost:8000
    """
    doctor.require()
    if supervisor_pid(state_dir) is not None:
        raise options.Failure(f"a Dryport with the state {state_dir} is running already (see `dryport status`)")
    if doctor.port_taken(port):
        raise options.Failure(f"port {port} is taken by another program: choose another one with --port")
    for address in listen:
        if doctor.port_taken(port, address):
            raise options.Failure(
                f"port {port} of {address} is taken by another program: choose another one with --port"
            )
    command = _command(state_dir.resolve(), port, listen, forward, forward_credentials, dev_credentials)
    if not detach:
        click.echo(f"Dryport starts at http://localhost:{port} (Ctrl-C stops it and its tasks)")
        os.execv(command[0], command)
    (state_dir / "log").mkdir(parents=True, exist_ok=True)
    log_path = state_dir / "log" / "supervisor.log"
    with log_path.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while not answers(port):
        if process.poll() is not None:
            raise options.Failure(f"Dryport ended with status {process.returncode}: see {log_path}")
        if time.monotonic() > deadline:
            raise options.Failure(f"the endpoint did not answer within {START_SECONDS:.0f} s: see {log_path.parent}")
        time.sleep(0.02)
    hint = "" if state_dir == DEFAULT_STATE_DIR else f" --state-dir {state_dir}"
    click.echo(f"Dryport answers at http://localhost:{port}")
    click.echo(f'Next: eval "$(dryport env{hint})" && aws ecs list-clusters')


@click.command()
@options.state_dir
@click.option("--keep-tasks", is_flag=True, help="Leave the tasks running; the next `dryport up` picks them up.")
def down(state_dir: Path, keep_tasks: bool) -> None:
    """Stop the platform and its tasks, and leave nothing of it on the machine but its state.

    \b
    dryport down
    dryport down --keep-tasks
    """
    pid = supervisor_pid(state_dir)
    if pid is None:
        _clear_leftovers(state_dir, keep_tasks)
        return
    os.kill(pid, signal.SIGUSR1 if keep_tasks else signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS
    while alive(pid, state_dir):
        if time.monotonic() > deadline:
            raise options.Failure(f"process {pid} is still stopping after {DOWN_SECONDS:.0f} s: see {state_dir}/log")
        time.sleep(0.05)
    click.echo("Dryport is down" + ("; its tasks go on" if keep_tasks else ""))


def _clear_leftovers(state_dir: Path, keep_tasks: bool) -> None:
    """A platform that was killed leaves tasks and namespaces; ``down`` then takes them away by itself."""
    try:
        config: Config = load(state_dir)
    except FileNotFoundError:
        raise options.Failure(f"there is no Dryport state in {state_dir}") from None
    if keep_tasks:
        click.echo("Dryport was not running")
        return
    doctor.require_root()
    from dryport.platform import leftovers, slots

    leftovers.clear(config)
    slots.release(config.slot)
    click.echo("Dryport was not running; what it had left on the machine is gone")
