"""``dryport explain``: what stands in the way of a task, instance by instance, and where it would go now."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dryport.cli import options
from dryport.client.client import ApiError, Client, Credentials, Unreachable
from dryport.control.config import DEFAULT_REGION, load
from dryport.platform import credentials

_TASK = re.compile(r"arn:.*:task/.*|[0-9a-f]{32}|[0-9a-f-]{36}")
_SHOWN = 50  # instances in the table

Json = dict[str, Any]


@click.command()
@click.argument("name", metavar="[TASK|SERVICE]", required=False)
@click.option("--cluster", default="default", show_default=True, help="Name or ARN of the cluster.")
@click.option("--task-definition", metavar="NAME", help="A dry run: family, family:revision or ARN.")
@click.option("--count", type=click.IntRange(1, 1000), help="How many tasks. [default: 1, or what SERVICE lacks]")
@click.option("--constraint", "constraints", multiple=True, help="distinctInstance, or an expression for memberOf.")
@click.option("--strategy", "strategies", multiple=True, help="random, binpack:memory, spread:instanceId, …; in order.")
@click.option("--launch-type", type=click.Choice(["EC2", "EXTERNAL"]), help="Of a dry run. [default: EC2]")
@click.option("--group", help="Of a dry run: the task group. [default: family:FAMILY]")
@click.option("--subnet", "subnets", multiple=True, help="Of a dry run with awsvpc.")
@click.option("--security-group", "groups", multiple=True, help="Of a dry run with awsvpc.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--all", "everything", is_flag=True, help=f"Show all instances, not {_SHOWN} at most.")
@options.state_dir
def explain(
    name: str | None,
    cluster: str,
    task_definition: str | None,
    count: int | None,
    constraints: Sequence[str],
    strategies: Sequence[str],
    launch_type: str | None,
    group: str | None,
    subnets: Sequence[str],
    groups: Sequence[str],
    output: str,
    everything: bool,
    state_dir: Path,
) -> None:
    """Explain where a task can be placed, and why not elsewhere. Nothing is placed, nothing is changed.

    SERVICE is the name or ARN of a service on container instances: where COUNT more tasks of it would go, or as many as
    it lacks. TASK is the id or ARN of a task on container instances. It is taken as if it were not there yet, with the
    constraints and strategies that it was started with. A task that RunTask could not place leaves nothing behind: ask
    with --task-definition and what RunTask was given, and see where COUNT tasks would go now.

    \b
    dryport explain 0123456789abcdef0123456789abcdef --cluster web
    dryport explain shop --cluster web
    dryport explain --cluster web --task-definition app:7 --count 4
    dryport explain --cluster web --task-definition app --constraint distinctInstance \\
        --constraint 'attribute:ecs.instance-type =~ m5.*' \\
        --strategy spread:attribute:ecs.availability-zone --strategy binpack:memory
    dryport explain --task-definition app --output json | jq '.containerInstances[].obstacles'

    The endpoint and the access key are those of AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or else
    of the platform on this machine (--state-dir). Exit status 3: a task would find no instance.
    """
    if bool(name) == bool(task_definition):
        raise click.UsageError("give a TASK, a SERVICE or --task-definition")
    request: Json = {"cluster": cluster}
    if name:
        request["task" if _TASK.fullmatch(name) else "service"] = name
    given: Json = {
        "taskDefinition": task_definition,
        "count": count,
        "launchType": launch_type,
        "group": group,
        "placementConstraints": [constraint(each) for each in constraints],
        "placementStrategy": [strategy(each) for each in strategies],
        "networkConfiguration": network(subnets, groups),
    }
    request.update({name: value for name, value in given.items() if value})
    answer = call(state_dir, "ExplainPlacement", request)
    if output == "json":
        click.echo(json.dumps(answer, indent=2))
    else:
        show(answer, everything)
    if answer["unplaced"]:
        raise SystemExit(3)


def constraint(text: str) -> Json:
    """A constraint as people write it: a type, an expression, or AWS's ``type=memberOf,expression=…``."""
    if text.startswith("type="):
        kind, _, expression = text.removeprefix("type=").partition(",expression=")
        return {"type": kind, "expression": expression} if expression else {"type": kind}
    return {"type": "distinctInstance"} if text == "distinctInstance" else {"type": "memberOf", "expression": text}


def strategy(text: str) -> Json:
    """A strategy as people write it: ``spread:FIELD``, or AWS's ``type=spread,field=FIELD``."""
    if text.startswith("type="):
        kind, _, field = text.removeprefix("type=").partition(",field=")
    else:
        kind, _, field = text.partition(":")
    return {"type": kind, "field": field} if field else {"type": kind}


def network(subnets: Sequence[str], groups: Sequence[str]) -> Json | None:
    """The network configuration of an awsvpc task; ``None`` where nothing of it is given."""
    if not subnets and not groups:
        return None
    return {"awsvpcConfiguration": {"subnets": list(subnets), "securityGroups": list(groups)}}


def call(state_dir: Path, operation: str, request: Json) -> Json:
    """A signed call of an operation of Dryport's own. Raises options.Failure."""
    endpoint, key = _access(state_dir)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION

    async def ask() -> Json:
        async with aiohttp.ClientSession() as session:
            return await Client(session, endpoint, region).call("dryport", operation, request, key)

    try:
        return asyncio.run(ask())
    except ApiError as error:
        raise options.Failure(str(error)) from None
    except Unreachable as error:
        raise options.Failure(f"{endpoint} does not answer: {error}") from None


def _access(state_dir: Path) -> tuple[str, Credentials]:
    environment = os.environ
    endpoint, key, secret = (
        environment.get(name) for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    )
    if endpoint and key and secret:
        return endpoint, Credentials(key, secret, environment.get("AWS_SESSION_TOKEN") or None)
    try:
        root = credentials.read(credentials.root_key_path(state_dir))
        return load(state_dir).endpoint, Credentials(root.access_key_id, root.secret_access_key)
    except FileNotFoundError:
        raise options.Failure(
            f"no Dryport was started with the state {state_dir}: run `dryport up` first, or set AWS_ENDPOINT_URL, "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (`dryport env` shows them)"
        ) from None
    except PermissionError as error:
        raise options.Failure(f"{error.filename} can be read by its owner only: run this as that user") from None


def show(answer: Json, everything: bool) -> None:
    """Print an explanation for people."""
    console = Console()
    instances = answer["containerInstances"]
    names = {each["containerInstanceArn"]: _name(each) for each in instances}
    if task := answer.get("taskArn"):
        where = answer.get("containerInstanceArn", "")
        place = names.get(where) or _last(where) or "no instance"
        console.print(f"task {_last(task)} of {_last(answer['taskDefinitionArn'])}, on {place}", highlight=False)
    elif service := answer.get("serviceArn"):
        revision = _last(answer["taskDefinitionArn"])
        console.print(f"service {_last(service)} with {revision}, in {_last(answer['clusterArn'])}", highlight=False)
    else:
        console.print(f"{_last(answer['taskDefinitionArn'])} in {_last(answer['clusterArn'])}", highlight=False)
    for each in answer["placementConstraints"]:
        console.print(f"  constraint {escape(each.get('expression') or each['type'])}", highlight=False)
    for each in answer["placementStrategy"]:
        console.print(
            f"  strategy   {escape(' '.join(filter(None, (each['type'], each.get('field')))))}", highlight=False
        )
    if not instances:
        console.print("\nNo Container Instances were found in your cluster.")
    else:
        console.print(_table(instances if everything else instances[:_SHOWN]))
        if len(instances) > _SHOWN and not everything:
            console.print(f"… and {len(instances) - _SHOWN} instances more (--all shows them)")
    reasons = Counter(each["obstacles"][0]["reason"] for each in instances if each["obstacles"])
    if len(instances) > 1 and reasons:
        found = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        console.print(f"first in the way: {escape(found)}", highlight=False)
    _show_placements(console, answer, names)


def _table(instances: Sequence[Json]) -> Table:
    table = Table("instance", "zone", "status", "in the way", box=None)
    for each in instances:
        lines = [f"{obstacle['reason']}: {obstacle['message']}" for obstacle in each["obstacles"]]
        table.add_row(
            _name(each), each.get("availabilityZone", ""), each["status"], escape("\n".join(lines)) or "nothing"
        )
    return table


def _show_placements(console: Console, answer: Json, names: dict[str, str]) -> None:
    placed: Counter[str] = Counter(answer["placements"])
    if placed:
        where = ", ".join(f"{names[arn]} ({count})" if count > 1 else names[arn] for arn, count in placed.items())
        console.print(f"would be placed now on: {where}", highlight=False)
    if answer["unplaced"]:
        count = answer["unplaced"] + len(answer["placements"])
        console.print(f"[bold]{answer['unplaced']} of {count} would find no instance[/bold]", highlight=False)


def _name(instance: Json) -> str:
    name: str = instance.get("ec2InstanceId") or _last(instance["containerInstanceArn"])
    return name


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]
