"""Secrets of a task: fetched with its execution role, never stored by the agent, never logged."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import NamedTuple

import msgspec

from dryport.agent.engine.errors import because, retrieval
from dryport.agent.payload import Container, Secret, Task
from dryport.client import PATIENCE, ApiError, Client, Credentials, Unreachable

_SSM_BATCH = 10  # GetParameters takes no more


class AsmReference(NamedTuple):
    """A secret in Secrets Manager: its id, and optionally a key of its JSON, a stage or a version."""

    secret_id: str
    json_key: str = ""
    version_stage: str = ""
    version_id: str = ""


def asm_reference(value_from: str) -> AsmReference:
    """``arn:…:secret:name[:json-key:version-stage:version-id]``, or a bare name, in its parts."""
    parts = value_from.split(":")
    if parts[0] != "arn" or len(parts) <= 7:
        return AsmReference(value_from)
    extra = [*parts[7:10], "", "", ""][:3]
    return AsmReference(":".join(parts[:7]), *extra)


def parameter_name(value_from: str) -> str:
    """A parameter's name from its ARN, or the name itself. GetParameters is asked by name."""
    if not value_from.startswith("arn:"):
        return value_from
    name = value_from.split(":", 5)[5].removeprefix("parameter")
    # "arn:…:parameter/a" may be "a" or "/a": only names with further levels need their first slash.
    return name if name.count("/") > 1 else name.removeprefix("/")


async def fetch(task: Task, client: Client, credentials: Credentials) -> dict[tuple[str, str], str]:
    """The value of every secret of the task, by provider and ``valueFrom``. Raises TaskFailure."""
    wanted = [secret for container in task.containers or () for secret in container.secrets or ()]
    values: dict[tuple[str, str], str] = {}
    work = [_fetch_ssm(wanted, client, credentials, values), _fetch_asm(wanted, client, credentials, values)]
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
    return values


def environment(container: Container, values: dict[tuple[str, str], str]) -> dict[str, str]:
    """The container's environment variables that are secrets."""
    return _targeted(container, values, log_driver=False)


def log_options(container: Container, values: dict[tuple[str, str], str]) -> dict[str, str]:
    """The options of the container's log driver that are secrets."""
    return _targeted(container, values, log_driver=True)


def _targeted(container: Container, values: dict[tuple[str, str], str], *, log_driver: bool) -> dict[str, str]:
    chosen = [s for s in container.secrets or () if (s.target == "LOG_DRIVER") is log_driver]
    return {s.name: values[s.provider, s.value_from] for s in chosen}


async def _fetch_ssm(
    wanted: list[Secret], client: Client, credentials: Credentials, values: dict[tuple[str, str], str]
) -> None:
    regions: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for secret in wanted:
        if secret.provider == "ssm":
            regions[secret.region][parameter_name(secret.value_from)].append(secret.value_from)
    for region, names in regions.items():
        ordered = list(names)
        for start in range(0, len(ordered), _SSM_BATCH):
            batch = ordered[start : start + _SSM_BATCH]
            request = {"Names": batch, "WithDecryption": True}
            try:
                answer = await client.call(
                    "ssm", "GetParameters", request, credentials, region=region, patience=PATIENCE
                )
            except (ApiError, Unreachable) as error:
                raise retrieval("secrets from ssm", because(error)) from error
            found = {p["Name"]: p["Value"] for p in answer.get("Parameters", ())}
            if missing := [name for name in batch if name not in found]:
                raise retrieval("secrets from ssm", f"invalid parameters: {', '.join(missing)}")
            for name in batch:
                for value_from in names[name]:
                    values["ssm", value_from] = found[name]


async def _fetch_asm(
    wanted: list[Secret], client: Client, credentials: Credentials, values: dict[tuple[str, str], str]
) -> None:
    for secret in wanted:
        if secret.provider != "asm" or ("asm", secret.value_from) in values:
            continue
        value = await secret_value(secret.value_from, secret.region, client, credentials)
        values["asm", secret.value_from] = value


async def secret_value(value_from: str, region: str, client: Client, credentials: Credentials) -> str:
    """A secret's text, or one member of it where it is a JSON object and a key is named. Raises TaskFailure."""
    reference = asm_reference(value_from)
    request = {"SecretId": reference.secret_id}
    if reference.version_stage:
        request["VersionStage"] = reference.version_stage
    if reference.version_id:
        request["VersionId"] = reference.version_id
    what = "secret from asm"
    try:
        answer = await client.call(
            "secretsmanager", "GetSecretValue", request, credentials, region=region, patience=PATIENCE
        )
    except (ApiError, Unreachable) as error:
        why = f"failed to fetch secret {reference.secret_id} from secrets manager: {because(error)}"
        raise retrieval(what, why) from error
    text = answer.get("SecretString")
    if text is None:
        raise retrieval(what, f"secret {reference.secret_id} has no SecretString")
    if not reference.json_key:
        return str(text)
    try:
        members = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise retrieval(what, f"secret {reference.secret_id} is no JSON object") from error
    if reference.json_key not in members:
        raise retrieval(what, f"retrieved secret from Secrets Manager did not contain json key {reference.json_key}")
    member = members[reference.json_key]
    return member if isinstance(member, str) else msgspec.json.encode(member).decode()
