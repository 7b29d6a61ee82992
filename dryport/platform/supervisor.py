"""The supervisor: ``dryport up`` without its face. Starts the processes, restarts what dies, ends them in order.

SIGTERM and SIGINT stop the tasks and everything else; SIGUSR1 leaves the tasks running (``dryport down --keep-tasks``).
A supervisor that is killed takes its processes with it, not the tasks; the next one picks them up.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import socket
import sys
from functools import cache
from pathlib import Path

import msgspec

from dryport.control.config import Config, Forward, save
from dryport.forwarding import targets
from dryport.platform import containerd, credentials, leftovers, slots
from dryport.platform.child import Child, write_pid

log = logging.getLogger("dryport.supervisor")


class AlreadyRunning(Exception):
    """Another supervisor holds this state directory."""


def _prepare(state_dir: Path) -> None:
    state_dir.mkdir(parents=True, exist_ok=True)
    state_dir.chmod(0o711)  # containers' users pass through to their volumes; the rest is closed below
    for name, mode in {"run": 0o700, "log": 0o700, "agent": 0o700, "filesystems": 0o700}.items():
        (state_dir / name).mkdir(exist_ok=True)
        (state_dir / name).chmod(mode)


def lock(state_dir: Path) -> int:
    """Hold the state directory for as long as the descriptor is open. Raises AlreadyRunning."""
    descriptor = os.open(state_dir / "run" / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AlreadyRunning(f"a Dryport with the state {state_dir} is running already") from None
    return descriptor


def write_config(arguments: argparse.Namespace, state_dir: Path) -> Config:
    """Settle the settings of this run where every process reads them. Raises ``forwarding.targets.Wrong``."""
    config = Config(
        state_dir=state_dir,
        port=arguments.port,
        listen=tuple(arguments.listen),
        dev_credentials=arguments.dev_credentials,
        forwards=tuple(_with_port(one) for one in targets.read(arguments.forward)),
        forward_credentials=arguments.forward_credentials,
        slot=slots.take(state_dir),
    )
    save(config)
    return config


def _with_port(forward: Forward) -> Forward:
    """A forward to moto knows the port of the moto server, which all share."""
    if forward.to != targets.MOTO:
        return forward
    return msgspec.structs.replace(forward, port=_moto_port())


@cache
def _moto_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children(config: Config) -> dict[str, Child]:
    def child(name: str, argv: list[str], grace: float = 10.0) -> Child:
        return Child(
            name=name,
            argv=argv,
            log_path=config.log_dir / f"{name}.log",
            pid_path=config.run_dir / f"{name}.pid",
            environment={"PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "2"},
            grace=grace,
        )

    state = str(config.state_dir)
    moto = next((one.port for one in config.forwards if one.to == targets.MOTO), None)
    command = [sys.executable, "-m", "dryport.forwarding.moto", "--state-dir", state, "--port", str(moto)]
    return {
        **({"moto": child("moto", command)} if moto is not None else {}),
        "host": child("host", [sys.executable, "-m", "dryport.host.daemon", "--state-dir", state]),
        "control": child("control", [sys.executable, "-m", "dryport.platform.control_plane", "--state-dir", state]),
        "containerd": child("containerd", containerd.argv(config.state_dir)),
        "agent": child(
            "agent",
            [
                *(sys.executable, "-m", "dryport.agent.main", "--cluster", "dryport-fargate"),
                *("--endpoint", f"http://127.0.0.1:{config.port}", "--task-endpoint", config.endpoint_in_vpc),
                *("--state-dir", str(leftovers.agent_dir(config)), "--runtime", "containerd"),
                *("--runtime-address", str(containerd.socket(config.state_dir))),
                *("--runtime-root", str(containerd.registries(config.state_dir))),
                *("--file-systems", str(config.state_dir / "filesystems")),
                *("--credentials", str(credentials.agent_key_path(config.state_dir))),
            ],
        ),
    }


async def supervise(config: Config) -> None:
    """Run until a signal asks for the end."""
    containerd.write_config(config.state_dir)
    children = _children(config)
    asked: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def ask(keep_tasks: bool) -> None:
        if not asked.done():
            asked.set_result(keep_tasks)

    loop = asyncio.get_running_loop()
    for number, keep in ((signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGUSR1, True)):
        loop.add_signal_handler(number, ask, keep)

    # The control plane first: everything else waits for it.
    for name in ("control", "host", "containerd", "agent", "moto"):
        if name in children:
            children[name].start()
    keep_tasks = await asked
    if "moto" in children:
        await children["moto"].stop()
    if keep_tasks:
        for name in ("agent", "control", "containerd", "host"):
            await children[name].stop()
        return
    # The control plane stops the tasks first; for that it needs the others.
    await children["control"].stop(signal.SIGUSR1, grace=60.0)
    await children["agent"].stop()
    await children["containerd"].stop()
    await children["host"].stop()
    await asyncio.to_thread(leftovers.clear, config)
    slots.release(config.slot)


def run(config: Config) -> None:
    """Supervise with the lock held and the process id noted."""
    pid_path = config.run_dir / "supervisor.pid"
    write_pid(pid_path, os.getpid())
    try:
        asyncio.run(supervise(config))
    finally:
        pid_path.unlink(missing_ok=True)


def main() -> None:
    """Entry point of ``python -m dryport.platform.supervisor``; ``dryport up`` calls it. Exits with 3 if one runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--listen", action="append", default=[])
    parser.add_argument("--dev-credentials", action="store_true")
    parser.add_argument("--forward", action="append", default=[])
    parser.add_argument("--forward-credentials", default="")
    arguments = parser.parse_args()
    os.umask(0o022)
    state_dir = arguments.state_dir.resolve()
    _prepare(state_dir)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        held = lock(state_dir)
    except AlreadyRunning as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(3) from None
    try:
        run(write_config(arguments, state_dir))
    finally:
        os.close(held)


if __name__ == "__main__":
    main()
