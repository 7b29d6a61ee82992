"""The steps of a task: each is one piece of work with the runtime, and ends in a message to the actor."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

import msgspec

from dryport.agent.engine import metadata_file
from dryport.agent.engine.errors import TaskFailure
from dryport.agent.engine.health import HealthCheck, Probe
from dryport.agent.engine.host import Host
from dryport.agent.engine.limits import within
from dryport.agent.engine.messages import ContainerExited, Message, Probed, StepDone
from dryport.agent.engine.plan import Step, Verb
from dryport.agent.engine.provision import Provisioned, execution_credentials, surroundings
from dryport.agent.engine.spec import SpecError, build
from dryport.agent.model import ContainerRecord, ContainerStatus, TaskRecord
from dryport.agent.payload import Container
from dryport.agent.runtime import ContainerState, Image, PullError, RuntimeFailure

log = logging.getLogger("dryport.agent")
_KILL_GRACE = 5.0  # seconds between looks at a container that was killed
Post = Callable[[Message], None]


class Steps:
    """Does the steps of one task."""

    def __init__(self, host: Host, record: TaskRecord) -> None:
        self._host = host
        self._record = record
        self._images: dict[str, Image] = {}
        self._ends = {name: asyncio.Event() for name in record.containers}

    def ended(self, name: str) -> None:
        """A container has ended: whoever waits for that goes on."""
        self._ends[name].set()

    async def take(
        self, step: Step, container: Container, found: Provisioned | None, provisioned: asyncio.Event, post: Post
    ) -> None:
        """Do one step and tell the actor how it went."""
        state = self._record.containers[step.container]
        began = time.time()
        result: Image | ContainerState | None = None
        reason = ""
        try:
            match step.verb:
                case Verb.PULL:
                    result = await self._pull(container, provisioned)
                case Verb.CREATE if found is not None:
                    await self._create(container, state, found)
                case Verb.START:
                    result = await self._start(container, state)
                case Verb.STOP:
                    await self._stop(container, state, post)
                case _:
                    raise AssertionError(step)
        except asyncio.CancelledError:
            if self._record.desired.name != "STOPPED":
                raise
            reason = "stopped"
        except RuntimeFailure as failure:
            reason = f"{failure.kind}: {failure.message}"
        except TaskFailure as failure:
            reason = str(failure)
        except (SpecError, msgspec.MsgspecError, ValueError, KeyError) as error:
            reason = f"CannotCreateContainerError: {error}"
        except Exception as error:
            log.exception("%s of container %s of %s failed", step.verb.value, step.container, self._record.arn)
            reason = f"InternalError: {type(error).__name__}"
        ended = time.time()
        log.debug("%s of %s took %.0f ms", step.verb.value, state.id, (ended - began) * 1000)
        post(StepDone(step, reason, result, began, ended))

    async def _pull(self, container: Container, provisioned: asyncio.Event) -> Image:
        try:
            image = await self._host.patiently(lambda: self._pull_in_time(container))
        except (PullError, TaskFailure):
            # What the task as a whole lacks is said first, as AWS does, which pulls only afterwards.
            await provisioned.wait()
            raise
        self._images[container.name] = image
        return image

    async def _pull_in_time(self, container: Container) -> Image:
        if self._host.proxies.is_proxy(self._record.payload, container):
            return await self._host.proxies.load()
        work = self._host.images.pull(self._record.payload, container, execution_credentials(self._record))
        return await within(self._host.settings.pull_timeout, "pulled", work)

    async def _create(self, container: Container, state: ContainerRecord, found: Provisioned) -> None:
        image = self._images.get(container.name)
        if image is None:  # pulled by the agent before this one
            image = await self._host.patiently(lambda: self._host.runtime.image(container.image))
            image = image or await self._pull_in_time(container)
        around = await asyncio.to_thread(surroundings, self._host, self._record, container, found)
        spec = build(self._record.payload, container, state, image, around)
        if spec.privileged and self._host.settings.disable_privileged:
            raise SpecError("privileged containers are disabled on this container instance")
        state.stop_signal = spec.stop_signal
        state.labels = spec.labels
        spec = self._host.ports.assign(spec)
        spec = metadata_file.add(self._host, self._record, container, spec)
        timeout, runtime = self._host.settings.create_timeout, self._host.runtime
        await self._host.patiently(lambda: within(timeout, "created", runtime.create(spec)))

    async def _start(self, container: Container, state: ContainerRecord) -> ContainerState:
        timeout, runtime = self._host.settings.start_timeout, self._host.runtime
        seen = await self._host.patiently(lambda: within(timeout, "started", runtime.start(state.id)))
        await self._host.proxies.started(self._record, container, seen)
        metadata_file.complete(self._host, self._record, container, seen)
        return seen

    async def _stop(self, container: Container, state: ContainerRecord, post: Post) -> None:
        if state.known is ContainerStatus.CREATED:
            return
        runtime, ended = self._host.runtime, self._ends[state.name]
        if state.term_sent_at is None:
            state.term_sent_at = time.time()
            await self._host.patiently(lambda: runtime.signal(state.id, state.stop_signal))
        timeout = self._host.settings.stop_timeout if container.stop_timeout is None else container.stop_timeout
        with contextlib.suppress(TimeoutError):
            left = max(0.0, state.term_sent_at + timeout - time.time())
            await asyncio.wait_for(ended.wait(), left)
        while not ended.is_set():
            await self._host.patiently(lambda: runtime.signal(state.id, "SIGKILL"))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _KILL_GRACE)
                break
            self._look(state, await self._host.patiently(lambda: runtime.inspect(state.id)), post)

    @staticmethod
    def _look(state: ContainerRecord, seen: ContainerState | None, post: Post) -> None:
        """The runtime's own word of an end may have been lost."""
        if seen is None:
            post(
                ContainerExited(
                    state.name, None, time.time(), reason="CannotInspectContainerError: Could not find container"
                )
            )
        elif seen.status == "exited":
            post(ContainerExited(state.name, seen.exit_code or 0, seen.finished_at or time.time(), seen.out_of_memory))

    async def check_health(self, container: ContainerRecord, check: HealthCheck, post: Post) -> None:
        """Run a container's health check at its interval until cancelled."""
        while True:
            await asyncio.sleep(check.interval)
            exit_code: int | None
            try:
                result = await self._host.runtime.execute(container.id, check.argv, check.timeout)
                exit_code, output = result.exit_code, result.output.decode(errors="replace")
            except TimeoutError:
                exit_code, output = None, f"Health check exceeded timeout ({check.timeout:g}s)"
            except RuntimeFailure as failure:
                if not await self._host.reachable():
                    continue  # nothing is known while the daemon is away
                exit_code, output = None, failure.message
            post(Probed(container.name, Probe(time.time(), exit_code, output)))
