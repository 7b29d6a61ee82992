"""Process 1 of an instance: starts its services, reaps what is left to it, keeps the console, ends in good order.

SIGTERM powers off, SIGINT reboots: it then ends, and ``host.instances`` boots again where it said so. File descriptors
1 and 2 are the console, 3 the status that the driver reads. Imports are few, as it stays in memory: what a boot does
once is done by a child (``cloud``).
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from dryport.instance.console import Console
from dryport.instance.services import Service, services

SOCKET = "/run/dryport/init.sock"
_DOCKER = "/run/docker.sock"
_STATUS = 3
_FIRST_LOOK = 0.01  # seconds between two looks whether Docker's socket is there


class Init:
    """The instance's state, and the loop that turns it."""

    def __init__(self) -> None:
        self._console = Console()
        self._services = services(os.environ.get("DRYPORT_BASE", "plain"))
        self._poll = select.poll()
        self._clients: dict[int, socket.socket] = {}
        self._waiting: list[tuple[Service, socket.socket]] = []
        self._probe: socket.socket | None = None
        self._docker_answers = "docker" not in self._services
        self._cloud = 0
        self.ending = ""  # shutdown or reboot, once it is asked for

    def boot(self) -> None:
        """Begin: listen, then start what needs no settings."""
        os.set_inheritable(_STATUS, False)
        self._tell("starting")
        self._console.write_line(f"dryport: booting {os.uname().nodename}")
        self._signals, sender = socket.socketpair()
        self._signals.setblocking(False)
        sender.setblocking(False)
        signal.set_wakeup_fd(sender.detach(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.end("shutdown"))
        signal.signal(signal.SIGINT, lambda *_: self.end("reboot"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(SOCKET)
        os.chmod(SOCKET, 0o600)
        self._listener.listen()
        for each in (self._signals, self._listener, self._console):
            self._poll.register(each, select.POLLIN)
        self._cloud = self._start_cloud()

    def _start_cloud(self) -> int:
        pid = os.fork()
        if pid:
            return pid
        os.setsid()
        signal.set_wakeup_fd(-1)
        for each in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
            signal.signal(each, signal.SIG_DFL)
        for descriptor in (1, 2):
            os.dup2(self._console.writer, descriptor)
        status = 1
        try:
            from dryport.instance.cloud.main import main

            status = main()
        finally:
            sys.stdout.flush()
            os._exit(status)

    def end(self, how: str) -> None:
        """Ask for the end; the first to ask says how."""
        self.ending = self.ending or how

    def turn(self, timeout: float) -> None:
        """Wait for something to do, at most so many seconds, and do it."""
        for descriptor, _ in self._poll.poll(timeout * 1000):
            if descriptor == self._signals.fileno():
                self._signals.recv(4096)
            elif descriptor == self._console.fileno():
                self._console.pump()
            elif descriptor == self._listener.fileno():
                self._accept()
            elif self._probe is not None and descriptor == self._probe.fileno():
                self._docker_answered()
            else:
                self._converse(self._clients[descriptor])
        self._reap()

    def run(self) -> None:
        """Turn until the end is asked for."""
        ready = False
        while not self.ending:
            self._start_due()
            self._look_at_docker()
            if not ready and self._is_ready():
                ready = True
                self._tell("ready")
                self._console.write_line("dryport: ready")
            self.turn(self._rest())

    def _is_ready(self) -> bool:
        agent = self._services.get("ecs")
        return not self._cloud and self._docker_answers and (agent is None or bool(agent.began) or not agent.wanted)

    def _rest(self) -> float:
        """How long nothing is due."""
        looking = not self._docker_answers or any(each.wanted and not each.pid for each in self._services.values())
        due = [each.due - time.monotonic() for each in self._services.values() if each.wanted and not each.pid]
        if not looking:
            return 3600.0
        return max(_FIRST_LOOK, min(due, default=_FIRST_LOOK))

    def _start_due(self) -> None:
        for each in self._services.values():
            if each.wanted and not each.pid and time.monotonic() >= each.due:
                if each.needs and not os.path.exists(each.needs):
                    continue
                failure = each.start(self._console.writer)
                self._console.write_line(f"dryport: {failure or f'started {each.name}'}")
                self._answer_waiting()

    def _look_at_docker(self) -> None:
        """Find out when Docker answers: its socket is there before it does."""
        if self._docker_answers or self._probe is not None or not os.path.exists(_DOCKER):
            return
        probe = socket.socket(socket.AF_UNIX)
        try:
            probe.connect(_DOCKER)
            probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        except OSError:
            probe.close()
            return
        self._probe = probe
        self._poll.register(probe, select.POLLIN)

    def _docker_answered(self) -> None:
        assert self._probe is not None
        self._poll.unregister(self._probe)
        try:
            self._docker_answers = bool(self._probe.recv(64))
        except OSError:
            pass  # it ended instead; it is asked again once it is back
        self._probe.close()
        self._probe = None

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._cloud:
                self._cloud = 0
                self._cloud_done()
            for each in self._services.values():
                if each.pid == pid:
                    each.ended(os.waitstatus_to_exitcode(status))
                    self._console.write_line(f"dryport: {each.name} ended with status {each.status}")
            self._answer_waiting()

    def _cloud_done(self) -> None:
        """User data has been executed: now the agent may come, as on AWS's images."""
        for each in self._services.values():
            if each.automatic:
                each.wanted = True

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setblocking(False)
        self._clients[client.fileno()] = client
        self._poll.register(client, select.POLLIN)

    def _converse(self, client: socket.socket) -> None:
        try:
            words = client.recv(1024).decode(errors="replace").split()
        except OSError:
            words = []
        if not words:
            self._drop(client)
            return
        verb, name = words[0], words[1] if len(words) > 1 else ""
        service = self._services.get(name)
        if verb in ("shutdown", "reboot"):
            self.end(verb)
            self._answer(client, "ok")
        elif service is None:
            self._answer(client, f"unknown {name}")
        elif verb == "status":
            self._answer(client, service.state)
        else:
            service.command(verb)
            self._waiting.append((service, client))
            self._start_due()
            self._answer_waiting()

    def _answer_waiting(self) -> None:
        for service, client in list(self._waiting):
            if service.settled():
                self._answer(client, "ok")

    def _answer(self, client: socket.socket, text: str) -> None:
        try:
            client.sendall(text.encode() + b"\n")
        except OSError:
            pass
        self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        self._waiting = [each for each in self._waiting if each[1] is not client]  # it may have gone before its answer
        self._poll.unregister(client)
        self._clients.pop(client.fileno(), None)
        client.close()

    def shut_down(self) -> None:
        """End the services, the later ones first, then everything else; say how it ended."""
        self._console.write_line(f"dryport: {'rebooting' if self.ending == 'reboot' else 'shutting down'}")
        if self._cloud:
            self._kill_group(self._cloud)
        for each in reversed(self._services.values()):
            each.command("stop")
            deadline = time.monotonic() + each.grace
            while each.pid and time.monotonic() < deadline:
                self.turn(0.1)
            if each.pid:
                self._kill_group(each.pid)
        self._end_others(signal.SIGTERM, 2.0)
        self._end_others(signal.SIGKILL, 5.0)
        self._console.pump()
        self._console.write_line(f"dryport: {'restarting' if self.ending == 'reboot' else 'power down'}")
        self._tell(self.ending)

    @staticmethod
    def _kill_group(pid: int) -> None:
        for kill, target in ((os.killpg, pid), (os.kill, pid)):
            try:
                kill(target, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _end_others(self, number: int, seconds: float) -> None:
        """Signal every process of the instance and wait until there is none, at most so many seconds."""
        deadline = time.monotonic() + seconds
        try:
            os.kill(-1, number)
        except ProcessLookupError:
            return
        while time.monotonic() < deadline:
            self.turn(0.02)
            if not any(name.isdigit() and name != "1" for name in os.listdir("/proc")):
                return

    @staticmethod
    def _tell(status: str) -> None:
        os.ftruncate(_STATUS, 0)
        os.pwrite(_STATUS, f"{status}\n".encode(), 0)


def main() -> None:
    """Run the instance, until its end."""
    init = Init()
    init.boot()
    init.run()
    init.shut_down()


if __name__ == "__main__":
    main()
