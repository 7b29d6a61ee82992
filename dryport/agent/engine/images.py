"""Images: pulled with the registry credentials that the task's roles give."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from typing import Any

import msgspec

from dryport.agent import registries
from dryport.agent.engine.errors import because, retrieval
from dryport.agent.engine.secrets import secret_value
from dryport.agent.identity import Identity
from dryport.agent.payload import Container, EcrAuth, Task
from dryport.agent.runtime import Image, PullError, RegistryAuth, Runtime
from dryport.agent.settings import Settings
from dryport.client import PATIENCE, ApiError, Client, Credentials, Unreachable

_ATTEMPTS = 5
_FIRST_RETRY = 0.5  # seconds
_MARGIN = 600.0  # seconds: a token that ends sooner is renewed
_REFUSALS = ("401", "403", "unauthorized", "denied", "forbidden", "authoriz")


class _NoToken(Exception):
    """ECR gave no token; the text says why."""


class Images:
    """Pulls images; tokens of ECR are kept for as long as they last, by role and registry."""

    def __init__(self, settings: Settings, runtime: Runtime, client: Client, identity: Identity) -> None:
        self._settings = settings
        self._runtime = runtime
        self._client = client
        self._identity = identity
        self._registries = settings.registry_auth if settings.registry_auth_type else {}
        self._tokens: dict[tuple[str, ...], asyncio.Task[tuple[RegistryAuth, float]]] = {}

    async def pull(self, task: Task, container: Container, credentials: Credentials | None) -> Image:
        """The container's image, as new as the settings wish. ``credentials`` are the execution role's.

        Raises PullError, TaskFailure.
        """
        behavior = "always" if task.fargate else self._settings.image_pull_behavior
        if behavior in ("once", "prefer-cached"):
            image = await self._runtime.image(container.image)
            if image is not None:
                return image
        try:
            return await self._pull_with_auth(task, container, credentials)
        except PullError:
            image = await self._runtime.image(container.image) if behavior == "default" else None
            if image is None:
                raise
            return image

    async def _pull_with_auth(self, task: Task, container: Container, credentials: Credentials | None) -> Image:
        role = task.execution_role_credentials
        name = role.role_arn if role else ""
        kept = [known.result()[0] for known in self._tokens.values() if known.done() and not known.exception()]
        auth = await self._auth(container, credentials, name, task.fargate)
        try:
            return await self._pull(container.image, auth)
        except PullError as error:
            # A token that is kept may have lost its worth meanwhile: a fresh one decides.
            refused = any(word in error.message.lower() for word in _REFUSALS)
            if auth not in kept or not refused:
                raise
            self._tokens.clear()
            return await self._pull(container.image, await self._auth(container, credentials, name, task.fargate))

    async def _pull(self, reference: str, auth: RegistryAuth | None) -> Image:
        for attempt in range(_ATTEMPTS):
            try:
                return await self._runtime.pull(reference, auth)
            except PullError as error:
                if not error.retryable or attempt == _ATTEMPTS - 1:
                    raise
                await asyncio.sleep(_FIRST_RETRY * 2**attempt)
        raise AssertionError("unreachable")

    async def _auth(
        self, container: Container, credentials: Credentials | None, role: str, fargate: bool
    ) -> RegistryAuth | None:
        wanted = container.registry_authentication
        if wanted is None:
            return registries.of_image(container.image, self._registries)
        if wanted.type == "ecr" and wanted.ecr_auth_data is not None:
            return await self._ecr(wanted.ecr_auth_data, credentials, role, fargate)
        if wanted.type == "asm" and wanted.asm_auth_data is not None:
            if credentials is None:
                raise retrieval("registry auth from asm", "the task has no execution role")
            asm = wanted.asm_auth_data
            text = await secret_value(asm.credentials_parameter, asm.region, self._client, credentials)
            return _basic(text)
        return None

    async def _ecr(self, wanted: EcrAuth, own: Credentials | None, role: str, fargate: bool) -> RegistryAuth:
        credentials = own if wanted.use_execution_role else self._identity.credentials()
        if credentials is None:
            raise retrieval("ecr registry auth", "the task has no execution role")
        # Every session of a role has the role's rights, no more and no less.
        holder = role if role and wanted.use_execution_role else credentials.access_key_id
        key = (wanted.registry_id, wanted.region, wanted.endpoint_override, holder)
        known = self._tokens.get(key)
        if known is not None and known.done() and (known.exception() or known.result()[1] < time.time() + _MARGIN):
            known = None
        if known is None:
            work = self._token(wanted, credentials)
            known = self._tokens[key] = asyncio.get_running_loop().create_task(work)
        # Shared: a task that is stopped meanwhile must not take the token from the others.
        try:
            return (await asyncio.shield(known))[0]
        except _NoToken as error:
            if fargate:
                raise retrieval("ecr registry auth", str(error)) from error
            raise PullError(str(error), kind="CannotPullECRContainerError") from error

    async def _token(self, wanted: EcrAuth, credentials: Credentials) -> tuple[RegistryAuth, float]:
        request = {"registryIds": [wanted.registry_id]} if wanted.registry_id else {}
        try:
            answer = await self._client.call(
                "ecr",
                "GetAuthorizationToken",
                request,
                credentials,
                endpoint=wanted.endpoint_override,
                region=wanted.region,
                patience=PATIENCE,
            )
            data: dict[str, Any] = answer["authorizationData"][0]
            username, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        except (ApiError, Unreachable) as error:
            raise _NoToken(because(error)) from error
        except (KeyError, IndexError, binascii.Error, UnicodeDecodeError) as error:
            raise _NoToken("the answer holds no token") from error
        return RegistryAuth(username=username, password=password), float(data.get("expiresAt") or 0)


def _basic(text: str) -> RegistryAuth:
    try:
        return msgspec.json.decode(text, type=RegistryAuth)
    except msgspec.MsgspecError as error:
        raise retrieval("registry auth from asm", "the secret is no JSON with username and password") from error
