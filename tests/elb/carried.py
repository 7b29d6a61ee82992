"""A real HAProxy with a plan's configuration, real servers behind it: all on loopback."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from dryport.elb.dataplane import haproxy, rules
from dryport.elb.dataplane.configuration import assign, files, render
from dryport.elb.dataplane.plan import Balancer, HealthCheck, Interface, Kind, Listener, Scheme, Target, TargetGroup
from dryport.elb.dataplane.slots import Slots, commands
from dryport.host.balancers.process import Process
from dryport.host.messages import Carrier

# An address of this process alone, so that no other test can have its ports.
ADDRESS = f"127.{64 + (os.getpid() >> 16)}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
PORT = 8080  # below those that the kernel gives
NOBODY = Target(address=ADDRESS, port=1)


class Web:
    """A web server that says who it is and what it was asked. ``status`` is what it answers ``/health``; ``/login`` is
    given a cookie."""

    def __init__(self, name: str) -> None:
        self.name, self.status, self.checks = name, 200, list[dict[str, str]]()
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                healthy = self.path == "/health"
                if healthy:
                    web.checks.append(dict(self.headers.items()))
                asked = "".join(f"{key.lower()}: {value}\n" for key, value in self.headers.items())
                body = f"{web.name} {self.path}\n{asked}".encode()
                self.send_response(web.status if healthy else 200)
                if self.path == "/login":
                    self.send_header("Set-Cookie", "session=1; Path=/")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer((ADDRESS, 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def target(self) -> Target:
        return Target(address=ADDRESS, port=self.server.server_address[1])

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def group(name: str, *targets: Target, **changes: object) -> TargetGroup:
    check = HealthCheck(path="/health", interval=1, timeout=20, healthy=2, unhealthy=2, codes="200-299,301")
    made = {"arn": name, "protocol": "HTTP", "health_check": check, "targets": targets} | changes
    return TargetGroup(**made)  # type: ignore[arg-type]


def balancer(listeners: list[Listener], groups: list[TargetGroup], kind: Kind = Kind.APPLICATION) -> Balancer:
    return Balancer(
        arn="arn",
        name="web",
        kind=kind,
        scheme=Scheme.INTERNAL,
        vpc_id="vpc-1",
        interfaces=(Interface(zone="a", address=ADDRESS),),
        listeners=tuple(listeners),
        groups=tuple(groups),
    )


def configuration(plan: Balancer) -> tuple[str, dict[str, Slots]]:
    slots = assign(plan, {})
    return render(plan, slots), slots


def refused(text: str, directory: Path, plan: Balancer | None = None) -> str:
    """What HAProxy says against a configuration: nothing where it accepts it without a warning. ``plan`` is what it is
    made of, where that has certificates, whose PEMs are in the directory."""
    for name, content in files(plan, {}).items() if plan is not None else ():
        (directory / name).write_bytes(content)
    path = directory / "haproxy.cfg"
    path.write_text(text)
    (directory / haproxy.STATE).write_text("1\n")
    (directory / rules.WEIGHTS).touch()
    said = subprocess.run(["haproxy", "-c", "-f", path.name], cwd=directory, capture_output=True, text=True)
    return f"{said.returncode}: {said.stderr}" if said.returncode or said.stderr.strip() else ""


class Running:
    """A balancer that runs, as the host driver runs it."""

    def __init__(self, plan: Balancer, directory: Path) -> None:
        self._process = Process(directory)
        self._certificates = {path.stem: path.read_bytes() for path in directory.glob("*.pem")}
        self.change(plan)
        _, self.slots = configuration(plan)
        for backend, slots in self.slots.items():
            for command in commands(backend, (None,) * len(slots), slots):
                # Taken for healthy until a check says otherwise: these tests do not wait for the first ones.
                self.tell(command.replace("health down", "health up"))

    def change(self, plan: Balancer) -> None:
        """Have it be so, by a reload if that takes one."""
        text, _ = configuration(plan)
        weights = haproxy.weights(plan)
        carrier = Carrier(id="test", namespace="", config=text, files=files(plan, self._certificates), weights=weights)
        asyncio.run(self._process.ensure(carrier))

    def tell(self, command: str) -> str:
        return asyncio.run(self._process.ask(command))

    def end(self) -> None:
        asyncio.run(self._process.end())


@contextmanager
def carried(plan: Balancer, directory: Path) -> Iterator[Running]:
    running = Running(plan, directory)
    try:
        yield running
    finally:
        running.end()


def until(holds: object, seconds: float = 30) -> None:
    """Wait for what must come; the time only bounds a failure."""
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


class Got(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: str


def get(port: int, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Got:
    connection = HTTPConnection(ADDRESS, port, timeout=20)
    connection.request(method, path, headers=dict(headers or {}))
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return Got(answer.status, {key.lower(): value for key, value in answer.getheaders()}, body)
