"""ECS's control plane behind the real gateway, on a store in a file, in the tests' event loop.

``Plugger`` stands where the network controller of EC2 and the host's root process are: it plugs interfaces.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import boto3
from botocore.config import Config as ClientConfig
from msgspec.structs import replace

from dryport.aws import arn
from dryport.control.clock import SystemClock
from dryport.control.config import DEFAULT_ACCOUNT, DEFAULT_REGION, Config
from dryport.control.context import Context, RoomMaker
from dryport.ec2 import identity
from dryport.ec2 import published as ec2
from dryport.ec2.model import INSTANCES, NETWORK_INTERFACES, SIGNING_KEYS, Instance, SigningKey
from dryport.ecs import lifecycle
from dryport.ecs.model import (
    CLUSTERS,
    CONTAINER_INSTANCES,
    TASK_DEFINITIONS,
    TASKS,
    Attachment,
    Cluster,
    Container,
    ContainerInstance,
    Task,
    TaskDefinition,
)
from dryport.ecs.room import room
from dryport.gateway.server import Gateway
from dryport.iam import credentials
from dryport.iam.model import CREDENTIALS, Credential
from dryport.store import StoreUnavailable
from dryport.store.sqlite import SqliteStore
from tests.iam.stored import put_roles
from tests.ports import free_port

DEMO = arn.make("ecs", DEFAULT_REGION, DEFAULT_ACCOUNT, "cluster/demo")
T = TypeVar("T")
ROLES = {"taskRoleArn": "task", "executionRoleArn": "exec"}


@lru_cache(maxsize=1)
def signing_key() -> SigningKey:
    """What EC2 signs identity documents with."""
    command = [sys.executable, "-m", "dryport.ec2.keymaker", "identity"]
    made = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return SigningKey(p=made["p"], q=made["q"], certificate=made["certificate"])


class Plugger:
    """Plugs and unplugs the devices of interfaces. ``broken``: it fails; ``idle``: it does nothing."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.broken = ""
        self.idle = False

    async def run(self) -> None:
        async with self.store.watch(NETWORK_INTERFACES) as watch:
            await self.store.transact(self._work)
            async for _ in watch:
                await self.store.transact(self._work)

    def _work(self, tx: Any) -> None:
        if self.idle:
            return
        for each in list(tx.all(NETWORK_INTERFACES)):
            if each.device == "unplugging":
                tx.delete(NETWORK_INTERFACES, each.id)
            elif each.device == "wanted":
                device = "failed" if self.broken else "plugged"
                tx.put(NETWORK_INTERFACES, replace(each, device=device, device_error=self.broken))


class Plane:
    """A control plane that can be ended at any instant and started again on what it left."""

    def __init__(
        self, directory: Path, clock: Any = None, seed: int | None = None, rooms: Sequence[RoomMaker] = ()
    ) -> None:
        self.directory = directory
        self._rooms = rooms  # besides ECS's
        self.port = free_port()
        self.config = Config(state_dir=directory, port=self.port)
        self.clock = clock or SystemClock()
        self.random = random.Random(seed)
        self.store: SqliteStore
        self.plugger: Plugger
        self.key: Credential
        self._tasks: list[asyncio.Task[Any]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> Plane:
        self.store = SqliteStore.open(self.directory / "control.db")
        context = Context(self.store, self.clock, self.random, self.config)
        rooms = [make(context) for make in (room, *self._rooms)]
        self.plugger = Plugger(self.store)
        key = next(iter(self.store.reader.find(CREDENTIALS, "account", DEFAULT_ACCOUNT)), None)
        if key is None:
            key = await self.store.transact(lambda tx: credentials.create_root_key(tx, self.random, DEFAULT_ACCOUNT))
        self.key = key
        await self.store.transact(self._world)
        self.loops: list[Any] = [*(loop for each in rooms for loop in each.loops), self.plugger]
        self._tasks = [asyncio.create_task(loop.run()) for loop in self.loops]
        gateway = asyncio.create_task(Gateway(context, rooms).serve(["127.0.0.1"], self.port))
        self._tasks.append(gateway)
        await self._listening(gateway)
        return self

    async def api(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call ECS with boto3, as a user does."""
        return await self.call("ecs", operation, **parameters)

    async def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Call a service with boto3."""
        client = boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=DEFAULT_REGION,
            aws_access_key_id=self.key.access_key_id,
            aws_secret_access_key=self.key.secret_access_key,
            config=ClientConfig(retries={"total_max_attempts": 1}),
        )
        answer: dict[str, Any] = await asyncio.to_thread(getattr(client, operation), **parameters)
        answer.pop("ResponseMetadata")
        return answer

    async def stop(self) -> None:
        """End it all as a killed process would, except that what was handed to the disk is on the disk."""
        for task in reversed(self._tasks):
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.store.close()
        failures = [r for r in results if isinstance(r, Exception) and not isinstance(r, asyncio.CancelledError)]
        if failures:
            raise failures[0]

    async def kill(self) -> None:
        """End it as ``kill -9`` does: what is not on the disk yet is lost."""

        async def gone(*_: Any) -> Any:
            raise StoreUnavailable("killed")

        dead: Any = self.store
        dead.transact = dead.settled = gone
        lost, dead._gathering = dead._gathering, None
        if lost is not None:
            lost.end(StoreUnavailable("killed"))
        for task in self._tasks:
            task.cancel()
        if dead._flushing is not None:
            await dead._flushing.waiter(dead._loop)  # the disk already has it
        self.store._writer.shutdown(wait=True, cancel_futures=True)
        self.store._connection.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def restart(self, *, kill: bool = False) -> None:
        """End and start again, on another port: the old server's listener may outlive it inside this process."""
        await (self.kill() if kill else self.stop())
        self.port = free_port()
        self.config = Config(state_dir=self.directory, port=self.port)
        await self.start()

    def check(self) -> None:
        """Raise what a loop died of."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def until(self, condition: Callable[[], T | Literal[False] | None], what: str, seconds: float = 20.0) -> T:
        """Wait for something to become true; the result of ``condition``."""
        for _ in range(int(seconds * 100)):
            self.check()
            found = condition()
            if found:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"never came: {what}")

    def task(self, task_arn: str) -> Task:
        found = self.store.reader.get(TASKS, task_arn)
        assert found is not None, f"{task_arn} is gone"
        return found

    def container_instance(self, instance_arn: str) -> ContainerInstance:
        found = self.store.reader.get(CONTAINER_INSTANCES, instance_arn)
        assert found is not None, f"{instance_arn} is gone"
        return found

    async def until_status(self, task_arn: str, status: str) -> Task:
        await self.until(lambda: self.task(task_arn).last_status == status, f"{task_arn} {status}")
        return self.task(task_arn)

    def subnets(self) -> list[Any]:
        return ec2.default_subnets(self.store.reader, DEFAULT_ACCOUNT, DEFAULT_REGION)

    async def ec2_instance(self, zone: str = "us-east-1a", **members: Any) -> dict[str, Any]:
        """Have EC2 run an instance; what its agent registers with."""
        subnet = next(each for each in self.subnets() if each.availability_zone == zone)
        instance = Instance(
            id=f"i-{self.random.getrandbits(68):017x}",
            account=DEFAULT_ACCOUNT,
            region=DEFAULT_REGION,
            reservation_id="r-0",
            launch_index=0,
            image_id="ami-1",
            architecture="x86_64",
            root_device_name="/dev/xvda",
            instance_type="t3.small",
            core_count=1,
            threads_per_core=2,
            subnet_id=subnet.id,
            vpc_id=subnet.vpc_id,
            availability_zone=zone,
            private_ip="172.31.0.9",
            state="running",
        )
        instance = replace(instance, **members)

        def work(tx: Any) -> None:
            tx.put(SIGNING_KEYS, signing_key())
            tx.put(INSTANCES, instance)

        await self.store.transact(work)
        names = ("ecs.capability.task-eni", "com.amazonaws.ecs.capability.docker-remote-api.1.18")
        document = identity.document(instance)
        return {
            "instanceIdentityDocument": document,
            "instanceIdentityDocumentSignature": identity.sign(document, signing_key()).signature,
            "attributes": [{"name": each} for each in names],
        }

    async def ec2_state(self, instance_id: str, state: str) -> None:
        """Have EC2 bring an instance into a state."""

        def work(tx: Any) -> None:
            tx.put(INSTANCES, replace(tx.get(INSTANCES, instance_id), state=state))

        await self.store.transact(work)

    def definition(self, definition_arn: str) -> TaskDefinition | None:
        return self.store.reader.get(TASK_DEFINITIONS, definition_arn)

    async def define(self, family: str = "web", **body: Any) -> TaskDefinition:
        """A task definition as RegisterTaskDefinition keeps it."""
        containers = body.pop("containerDefinitions", [{"name": "main", "image": "busybox", "essential": True}])
        definition = TaskDefinition(
            arn=arn.make("ecs", DEFAULT_REGION, DEFAULT_ACCOUNT, f"task-definition/{family}:1"),
            family=family,
            revision=1,
            account=DEFAULT_ACCOUNT,
            region=DEFAULT_REGION,
            body={"containerDefinitions": containers, **body},
        )
        await self.store.transact(lambda tx: tx.put(TASK_DEFINITIONS, definition))
        return definition

    async def define_fargate(self, family: str = "web", **body: Any) -> TaskDefinition:
        roles = {member: arn.make("iam", "", DEFAULT_ACCOUNT, f"role/{name}") for member, name in ROLES.items()}
        return await self.define(family, networkMode="awsvpc", cpu="256", memory="512", **{**roles, **body})

    async def run_task(self, definition: TaskDefinition, instance_arn: str | None = None, **members: Any) -> str:
        """Write a task as RunTask does (or with an instance StartTask); its ARN."""
        task_id = f"{self.random.getrandbits(128):032x}"
        subnets = [each.id for each in self.subnets()]
        subnet = self.random.choice(subnets)
        fargate = instance_arn is None
        attachment = Attachment(id=f"att-{task_id}", details=[{"name": "subnetId", "value": subnet}])
        task = Task(
            arn=arn.make("ecs", DEFAULT_REGION, DEFAULT_ACCOUNT, f"task/demo/{task_id}"),
            cluster_arn=DEMO,
            account=DEFAULT_ACCOUNT,
            region=DEFAULT_REGION,
            task_definition_arn=definition.arn,
            family=definition.family,
            launch_type="FARGATE" if fargate else "EXTERNAL",
            instance_arn=instance_arn,
            attachments=[attachment] if fargate else [],
            containers=[
                Container(arn=f"c-{task_id}-{each['name']}", name=each["name"], image=each["image"])
                for each in definition.body["containerDefinitions"]
            ],
            cpu=definition.body.get("cpu"),
            memory=definition.body.get("memory"),
            network_configuration={"subnets": [subnet]} if fargate else {},
            created_at=self.clock.time(),
        )
        task = replace(task, **members)
        await self.store.transact(lambda tx: tx.put(TASKS, task))
        return task.arn

    async def stop_task(self, task_arn: str) -> None:
        """Write what StopTask writes."""

        def work(tx: Any) -> None:
            task = tx.get(TASKS, task_arn)
            tx.put(TASKS, lifecycle.request_stop(task, "UserInitiated", "Task stopped by user", self.clock.time()))

        await self.store.transact(work)

    def _world(self, tx: Any) -> None:
        ec2.ensure_region(tx, self.random, DEFAULT_ACCOUNT, DEFAULT_REGION)
        tx.put(CLUSTERS, Cluster(arn=DEMO, name="demo", account=DEFAULT_ACCOUNT, region=DEFAULT_REGION))
        put_roles(tx, "ecs-tasks", *ROLES.values(), "app")

    async def _listening(self, gateway: asyncio.Task[None]) -> None:
        for _ in range(500):
            if gateway.done():
                gateway.result()
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the gateway does not listen")
