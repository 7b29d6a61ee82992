"""Container instances of the simulation: an EC2 instance, its agent, its containers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.control.config import DEFAULT_ACCOUNT, DEFAULT_REGION
from dryport.ec2 import identity
from dryport.ec2 import published as ec2
from dryport.ec2.model import INSTANCES, SIGNING_KEYS, Instance
from dryport.ecs import lifecycle
from dryport.ecs.model import CONTAINER_INSTANCES, TASKS
from dryport.store import Transaction
from tests.ecs.control.plane import signing_key
from tests.ecs.simulation.links import End, Refused
from tests.ecs.simulation.plane import Plane, Unavailable

MEMORY = 1024  # MiB
RESOURCES = [
    {"name": "CPU", "type": "INTEGER", "integerValue": 2048},
    {"name": "MEMORY", "type": "INTEGER", "integerValue": MEMORY},
    {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22"]},
    {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
]
ATTRIBUTES = [{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}]
BAD = "bad"  # an image whose containers cannot start
_SILENCE = 60.0  # seconds after which AWS's agent gives a connection up


class Container:
    """A task on a machine."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload = payload
        self.status = "PENDING"
        self.end = asyncio.Event()  # it is to stop, or has died
        self.asked = False  # somebody asked it to
        self.port = 0  # of the host, where it has one
        self.mute = False  # it answers no health check


class Machine:
    """Its containers outlive its agent, not the machine. ``started`` hears of each container that is made."""

    def __init__(self, plane: Plane, number: int, zone: str, started: Callable[[str, Machine], None]) -> None:
        self.plane = plane
        self.id = f"i-{number:017x}"
        self.zone = zone
        self.arn = ""
        self.gone = False
        self.containers: dict[str, Container] = {}
        self._started = started
        self._running = asyncio.Event()  # the agent
        self._end: End | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def boot(self) -> None:
        """Have EC2 run it."""
        reader = self.plane.store.reader
        subnets = ec2.default_subnets(reader, DEFAULT_ACCOUNT, DEFAULT_REGION)
        subnet = next(each for each in subnets if each.availability_zone == self.zone)
        self._instance = Instance(
            id=self.id, account=DEFAULT_ACCOUNT, region=DEFAULT_REGION, reservation_id="r-0", launch_index=0,
            image_id="ami-1", architecture="x86_64", root_device_name="/dev/xvda", instance_type="t3.small",
            core_count=1, threads_per_core=2, subnet_id="", vpc_id="", availability_zone=self.zone,
            private_ip="172.31.0.9", state="running",
        )  # fmt: skip

        def work(tx: Transaction) -> None:
            tx.put(SIGNING_KEYS, signing_key())
            tx.put(INSTANCES, replace(self._instance, subnet_id=subnet.id, vpc_id=subnet.vpc_id))

        await self.plane.write(work)
        self._running.set()
        self._run(self._agent())

    async def crash(self) -> None:
        """The agent dies; its containers go on."""
        self._running.clear()
        if self._end is not None:
            await self._end.close()

    def restart(self) -> None:
        """The agent comes back."""
        self._running.set()

    def cut(self) -> None:
        """The network swallows what the agent and the control plane say on this connection."""
        if self._end is not None:
            self._end.cut = self._end.peer.cut = True

    async def lose(self) -> None:
        """EC2 terminates it."""
        self.gone = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._end is not None:
            await self._end.close()
        self.containers.clear()

        def work(tx: Transaction) -> None:
            instance = tx.get(INSTANCES, self.id)
            if instance is not None:
                tx.put(INSTANCES, replace(instance, state="terminated"))

        await self.plane.write(work)

    def die(self, task_arn: str) -> None:
        """A task's container ends by itself."""
        self.containers[task_arn].end.set()

    def running(self) -> list[str]:
        """The tasks whose containers run."""
        return [arn for arn, each in self.containers.items() if each.status == "RUNNING"]

    async def _agent(self) -> None:
        while True:
            await self._running.wait()
            try:
                await self._register()
                await self._serve(self.plane.connect(self.arn))
            except (Unavailable, Refused, ServiceError, ConnectionError, TimeoutError):
                pass
            await asyncio.sleep(self.plane.random.uniform(0.1, 2.0))

    async def _register(self) -> None:
        document = identity.document(self._instance)
        request: dict[str, Any] = {
            "cluster": "demo",
            "attributes": ATTRIBUTES,
            "totalResources": RESOURCES,
            "instanceIdentityDocument": document,
            "instanceIdentityDocumentSignature": identity.sign(document, signing_key()).signature,
            "clientToken": self.id,
        }
        if self.arn:
            request["containerInstanceArn"] = self.arn
        try:
            answer = await self.plane.call("RegisterContainerInstance", **request)
        except ServiceError:
            self.arn = ""  # as AWS's agent does: it registers as a new one
            raise
        self.arn = answer["containerInstance"]["containerInstanceArn"]

    async def _serve(self, end: End) -> None:
        self._end = end
        try:
            while True:
                async with asyncio.timeout(_SILENCE):
                    text = await end.receive()
                if text is None:
                    return
                frame = json.loads(text)
                await self._answer(end, frame["type"], frame["message"])
        finally:
            await end.close()

    async def _answer(self, end: End, kind: str, message: dict[str, Any]) -> None:
        async def say(kind: str, answer: dict[str, Any]) -> None:
            await end.send(json.dumps({"type": kind, "message": answer}))

        ack = {"cluster": "demo", "containerInstance": self.arn, "messageId": message.get("messageId")}
        match kind:
            case "HeartbeatMessage":
                await say("HeartbeatAckRequest", {"messageId": message["messageId"]})
            case "PayloadMessage":
                for task in message["tasks"]:
                    self._take(task)
                await say("AckRequest", ack)
            case "TaskManifestMessage":
                await say("AckRequest", ack)
                wanted = {each["taskArn"] for each in message["tasks"] if each["desiredStatus"] == "RUNNING"}
                strays = [
                    {"taskArn": arn, "taskClusterArn": ""}
                    for arn, each in self.containers.items()
                    if each.status != "STOPPED" and arn not in wanted
                ]
                if strays:
                    answer = {"messageId": message["messageId"], "stopCandidates": strays}
                    await say("TaskStopVerificationMessage", answer)
            case "TaskStopVerificationAck":
                for each in message["stopTasks"]:
                    self._stop(each["taskArn"])

    def _take(self, task: dict[str, Any]) -> None:
        arn = task["arn"]
        known = self.containers.get(arn)
        if task["desiredStatus"] == "STOPPED":
            if known is None or known.status == "STOPPED":
                self._run(self._report(known or Container(task), arn, "STOPPED"))
            else:
                self._stop(arn)
        elif known is None:
            self.containers[arn] = Container(task)
            self.containers[arn].port = self._port(task)
            self._started(arn, self)
            self._run(self._live(arn, self.containers[arn]))
        elif known.status == "STOPPED":
            self._run(self._report(known, arn, "STOPPED"))

    def _port(self, task: dict[str, Any]) -> int:
        """The host port of a task that is started: the one that it asks for, or the first that is free."""
        mappings = task["containers"][0].get("portMappings")
        if not mappings:
            return 0
        taken = {each.port for each in self.containers.values() if each.status != "STOPPED"}
        free = next(port for port in range(32_768, 61_000) if port not in taken)
        return int(mappings[0].get("hostPort") or free)

    def _stop(self, arn: str) -> None:
        container = self.containers.get(arn)
        if container is not None:
            container.asked = True
            container.end.set()

    async def _live(self, arn: str, container: Container) -> None:
        random = self.plane.random
        bad = container.payload["containers"][0]["image"] == BAD
        try:
            async with asyncio.timeout(random.uniform(0.05, 3.0)):
                await container.end.wait()
        except TimeoutError:
            if not bad:
                container.status = "RUNNING"
                await self._report(container, arn, "RUNNING")
                await container.end.wait()
        if container.asked:
            await asyncio.sleep(random.uniform(0.05, 5.0))
        container.status = "STOPPED"
        await self._report(container, arn, "STOPPED")

    async def _report(self, container: Container, arn: str, status: str) -> None:
        """As an agent does: again and again until the answer comes, dropped where it is refused for good."""
        containers = [
            {"containerName": each["name"], "status": status, "runtimeId": arn[-12:],
             **({"exitCode": 1} if status == "STOPPED" else {}), **_bindings(container, status)}
            for each in container.payload["containers"]
        ]  # fmt: skip
        while True:
            await self._running.wait()
            try:
                await self.plane.call("SubmitTaskStateChange", cluster="demo", task=arn, status=status, reason="",
                                      containers=containers)  # fmt: skip
                return
            except Unavailable:
                await asyncio.sleep(self.plane.random.uniform(0.05, 0.5))
            except ServiceError:
                return

    async def report_health(self, arn: str, status: str) -> None:
        """What the telemetry connection would bring of a running task."""

        def note(tx: Transaction) -> None:
            task = tx.get(TASKS, arn)
            if task is not None and task.last_status == lifecycle.RUNNING:
                tx.put(TASKS, lifecycle.apply_health_report(task, {"main": status}, {"main"}))

        await self.plane.write(note)

    def _run(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End it all."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def answers(self, port: int) -> bool:
        """Whether somebody answers health checks at a port of its."""
        return any(c.port == port and c.status == "RUNNING" and not c.mute for c in self.containers.values())

    @property
    def active(self) -> bool:
        """Whether tasks may be placed on it, by the store."""
        found = self.plane.store.reader.get(CONTAINER_INSTANCES, self.arn) if self.arn else None
        return found is not None and found.status == "ACTIVE" and found.agent_connected


def _bindings(container: Container, status: str) -> dict[str, Any]:
    if status != "RUNNING" or not container.port:
        return {}
    return {"networkBindings": [
        {"bindIP": "0.0.0.0", "containerPort": 80, "hostPort": container.port, "protocol": "tcp"}
    ]}  # fmt: skip
