"""The services of an instance, by the image that it boots from."""

from __future__ import annotations

import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST_DELAY, _LAST_DELAY, _STEADY = 0.1, 10.0, 30.0  # seconds
_ENVIRONMENT = ("/etc/environment",)
_ENDPOINT = "169.254.171.1/32"  # of the platform, in every VPC
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REFUSED = 5  # the agent's exit status where it has no role or the control plane will not have it
_REFUSED_DELAY = 60.0  # seconds: a role may come yet


class Service:
    """A program that is to run for as long as it is ``wanted``.

    ``needs`` is a file without which it is not started, ``settings`` files of variables that it gets, ``grace`` the
    seconds that it has to end after SIGTERM. ``automatic`` ones are started once user data has been executed.
    """

    def __init__(
        self,
        name: str,
        argv: list[str] | Callable[[], list[str]],
        *,
        environment: dict[str, str] | None = None,
        settings: tuple[str, ...] = _ENVIRONMENT,
        needs: str = "",
        grace: float = 5.0,
        automatic: bool = False,
    ) -> None:
        self.name = name
        self.needs = needs
        self.grace = grace
        self.automatic = automatic
        self.wanted = False
        self.pid = 0
        self.status = 0
        self.due = 0.0
        self._argv = argv
        self._environment = environment or {}
        self._settings = settings
        self._delay = _FIRST_DELAY
        self.began = 0.0  # when it was last started, 0 if never
        self._restarting = False

    @property
    def state(self) -> str:
        """As ``systemctl is-active`` says it."""
        if self.pid:
            return "active"
        if self.wanted:
            return "activating"
        return "failed" if self.status else "inactive"

    def start(self, output: int) -> str:
        """Start it, its output going to a descriptor; "" or what is in the way."""
        argv = self._argv if isinstance(self._argv, list) else self._argv()
        program = find(argv[0])
        if not program:
            self.wanted = False
            return f"{argv[0]} is not installed"
        environment = {**os.environ, **self._environment}
        for file in self._settings:
            environment |= variables(file)
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self.pid = os.posix_spawn(
            program,
            argv,
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, source, to) for source, to in ((null, 0), (output, 1), (output, 2))],
            setsid=True,
            setsigdef=[signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT],
        )
        os.close(null)
        self.began = time.monotonic()
        return ""

    def ended(self, status: int) -> None:
        """Note that it has ended; it starts again after a while if it is wanted."""
        if time.monotonic() - self.began > _STEADY or self._restarting:
            self._delay = _FIRST_DELAY
        self.pid, self.status = 0, status
        self.due = 0.0 if self._restarting else time.monotonic() + self._delay
        self._restarting = False
        self._delay = min(_LAST_DELAY, self._delay * 2)
        if status == REFUSED:
            self.due = time.monotonic() + _REFUSED_DELAY

    def command(self, verb: str) -> None:
        """Do what ``systemctl start``, ``stop`` or ``restart`` ask for."""
        self.wanted = verb != "stop"
        self._restarting = verb == "restart" and bool(self.pid)
        if verb == "stop":
            self.automatic = False
        if not self.pid:
            self.due = 0.0
        elif verb in ("stop", "restart"):
            os.kill(self.pid, signal.SIGTERM)

    def settled(self) -> bool:
        """Whether it is as the last command wanted it."""
        return bool(self.pid) == self.wanted and not self._restarting


def services(base: str) -> dict[str, Service]:
    """The services of an image, in the order in which they come up."""
    made = [Service("sshd", ["/usr/sbin/sshd", "-D", "-e"])]
    if base == "ecs":
        made.append(Service("docker", _docker, grace=25.0))
        made.append(
            Service(
                "ecs",
                [
                    *(os.environ["DRYPORT_PYTHON"], "-m", "dryport.agent.main"),
                    *("--runtime", "docker"),
                    *("--cpu", os.environ["DRYPORT_CPU"], "--memory", os.environ["DRYPORT_MEMORY"]),
                ],
                environment={
                    "PYTHONPATH": os.environ["DRYPORT_PACKAGES"],
                    "PYTHONUNBUFFERED": "1",
                    "ECS_DATADIR": "/var/lib/ecs/data",
                    "ECS_LOGFILE": "/var/log/ecs/ecs-agent.log",
                },
                settings=(*_ENVIRONMENT, "/etc/ecs/ecs.config"),
                needs="/run/docker.sock",
                grace=10.0,
                automatic=True,
            )
        )
    return {each.name: each for each in made}


def _docker() -> list[str]:
    """Docker's daemon, and what its own settings do not say: it refuses to be told twice."""
    try:
        with open("/etc/docker/daemon.json") as file:
            told = file.read()
    except OSError:
        told = ""
    # The platform's registry is plain HTTP at the endpoint's address, which is not this host's loopback.
    options = {"log-level": ("--log-level", "warn"), "insecure-registries": ("--insecure-registry", _ENDPOINT)}
    return ["dockerd", *(word for name, words in options.items() if f'"{name}"' not in told for word in words)]


def find(program: str) -> str:
    """The path of a program, "" where it is not installed."""
    if "/" in program:
        return program if os.access(program, os.X_OK) else ""
    for directory in _PATH.split(":"):
        if os.access(f"{directory}/{program}", os.X_OK):
            return f"{directory}/{program}"
    return ""


def variables(file: str) -> dict[str, str]:
    """What a file of ``NAME=value`` lines sets (systemd.exec(5), EnvironmentFile); nothing where there is none."""
    found: dict[str, str] = {}
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, equals, value = line.strip().partition("=")
                if equals and name and not name.startswith(("#", ";")):
                    value = value.strip()
                    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                        value = value[1:-1]
                    found[name.strip()] = value
    except OSError:
        pass
    return found
