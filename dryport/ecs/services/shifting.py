"""Which target group's turn it is, and the traffic between the two of a service: functions on the store.

Sources: "Application Load Balancer resources for blue/green deployments" and "Troubleshooting Amazon ECS blue/green
deployments", developer guide, whose messages these are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from msgspec.structs import replace

from dryport.ecs.model import Json
from dryport.ecs.services import history, hooks, rollout, stages
from dryport.ecs.services.model import (
    COMPLETED,
    SERVICE_REVISIONS,
    Back,
    Deployment,
    Progress,
    Service,
    ServiceRevision,
)
from dryport.elb import published as elb
from dryport.iam import published as iam
from dryport.store import Reader, Transaction

_INVALID = "Service deployment rolled back because of invalid networking configuration"


def under_way(service: Service) -> bool:
    """Whether a service's primary deployment shifts traffic, or did before it failed."""
    return (
        bool(service.deployments)
        and service.primary.progress is not None
        and service.primary.rollout_state != COMPLETED
    )


def decided(service: Service) -> bool:
    """Whether it is decided who serves: blue is on its way out, or all traffic has gone back to it."""
    progress = service.primary.progress
    return progress is not None and (progress.stage == stages.CLEAN_UP or progress.back is not None)


def over(service: Service) -> bool:
    """Whether a service's primary deployment has nothing to shift any more, and nobody to wait for."""
    progress = service.primary.progress
    return progress is None or not under_way(service) or progress.stage == stages.CLEAN_UP


def blue_id(service: Service) -> str:
    """The id of the deployment that the primary one is to take the place of, where that one serves until then."""
    progress = service.primary.progress if under_way(service) else None
    return progress.blue if progress is not None and not decided(service) else ""


def blue_of(service: Service) -> Deployment | None:
    """What serves of a service that is to be deployed again: the completed deployment, else what the latest one was to
    take the place of, else that one itself, where it has traffic."""
    for each in service.deployments:
        if each.revision_arn == service.completed_revision_arn:
            return each
    if not service.deployments:
        return None
    first, before = service.primary, blue_id(service)
    if before:
        return next((each for each in service.deployments if each.id == before), None)
    return first if first.progress is None or first.progress.production else None


def begin(tx: Transaction, service: Service, deployment: Deployment, random: Random, now: float) -> Deployment:
    """The deployment, not yet the service's, as it begins: with the target groups whose turn it is, which its revision
    notes, and its progress where it shifts traffic. What shifts already goes back to blue."""
    progress = service.primary.progress if service.deployments else None
    blue = blue_of(service)
    if progress is not None and under_way(service) and not decided(service) and blue is not service.primary:
        _take_back(tx, service.primary, progress)
    revision = tx.get(SERVICE_REVISIONS, deployment.revision_arn)
    assert revision is not None  # it was stored a moment ago
    before = tx.get(SERVICE_REVISIONS, blue.revision_arn) if blue is not None else None
    rolls = service.deployment_configuration["strategy"] == stages.ROLLING
    taken = groups(before) if before is not None else set()
    resolved = [_resolve(tx, each, taken, rolls=rolls) for each in revision.load_balancers]
    if resolved != revision.load_balancers:
        tx.put(SERVICE_REVISIONS, replace(revision, resolved=resolved))
    several = any(blue is None or each.id != blue.id for each in service.deployments) and not (
        rolls and not any(each.progress is not None for each in service.deployments)
    )
    progress = stages.begin(
        service.deployment_configuration,
        blue=blue.id if blue is not None else "",
        several=several,
        balanced=bool(revision.load_balancers or revision.connect_resources),
        now=now,
    )
    if progress is not None:
        progress = replace(progress, hooks=hooks.runs(progress, random, now))
    return replace(deployment, progress=progress)


def groups(revision: ServiceRevision) -> set[str]:
    """The target groups that a revision's tasks are registered with."""
    return {each["targetGroupArn"] for each in serving(revision) if each.get("targetGroupArn")}


def serving(revision: ServiceRevision) -> list[Json]:
    """AWS's LoadBalancer of a revision, with the target groups that its tasks are in."""
    return revision.resolved or revision.load_balancers


def _resolve(reader: Reader, given: Json, taken: set[str], *, rolls: bool) -> Json:
    """A load balancer with the target group whose turn it is: the one that does not serve, or, where tasks replace one
    another, the one that does."""
    advanced = given.get("advancedConfiguration")
    if advanced is None:
        return given
    pair = [given["targetGroupArn"], advanced["alternateTargetGroupArn"]]
    used = [each for each in pair if each in taken] or _live(reader, given, pair)
    if len(used) != 1:
        return given
    chosen = used[0] if rolls else next(each for each in pair if each != used[0])
    return {**given, "targetGroupArn": chosen}


def _live(reader: Reader, given: Json, pair: Sequence[str]) -> list[str]:
    weights = elb.weights(reader, given["advancedConfiguration"]["productionListenerRule"]) or {}
    return [each for each in pair if weights.get(each)]


# Traffic


def shift(tx: Transaction, deployment: Deployment, *, production: float, test: float) -> None:
    """Have a deployment's target groups get these percents of the traffic, the other ones of their pairs the rest.

    A rule that is no more is left out.
    """
    for mine, other, advanced in _pairs(tx, deployment):
        for member, percent in (("productionListenerRule", production), ("testListenerRule", test)):
            if elb.weights(tx, advanced.get(member, "")) is not None:
                elb.shift(tx, advanced[member], _weights(mine, other, percent))


def attach(tx: Transaction, deployment: Deployment) -> None:
    """Have the production listeners of network load balancers know the deployment's target groups, which get nothing
    yet: without a listener their targets would not be checked."""
    for mine, other, advanced in _pairs(tx, deployment):
        rule = advanced["productionListenerRule"]
        weights = elb.weights(tx, rule)
        if elb.protocol(tx, rule) and weights is not None and mine not in weights:
            elb.shift(tx, rule, _weights(mine, other, 0.0))


def _take_back(tx: Transaction, deployment: Deployment, progress: Progress) -> None:
    """Have blue get all traffic. Nothing where none was shifted: the two may be in the same target groups."""
    if progress.production or progress.test:
        shift(tx, deployment, production=0.0, test=0.0)


def _pairs(reader: Reader, deployment: Deployment) -> Iterator[tuple[str, str, Json]]:
    """Of each load balancer, the target group that is the deployment's, the other one, and advancedConfiguration."""
    revision = reader.get(SERVICE_REVISIONS, deployment.revision_arn)
    if revision is None:
        return
    for given, resolved in zip(revision.load_balancers, serving(revision), strict=True):
        advanced = given.get("advancedConfiguration")
        if advanced is not None:
            pair = [given["targetGroupArn"], advanced["alternateTargetGroupArn"]]
            mine = resolved["targetGroupArn"]
            yield mine, next(each for each in pair if each != mine), advanced


def _weights(mine: str, other: str, percent: float) -> dict[str, int]:
    """Weights of a forward action: percents where they are whole, else tenths of them."""
    whole = 100 if percent == int(percent) else 1000
    share = round(percent * whole / 100)
    return {mine: share, other: whole - share}


def problem(reader: Reader, deployment: Deployment) -> str:
    """Why no traffic can be shifted to a deployment as its listener rules are, in ECS's words; "" where it can."""
    found = (_problem(reader, mine, other, advanced) for mine, other, advanced in _pairs(reader, deployment))
    return next((each for each in found if each), "")


def _problem(reader: Reader, mine: str, other: str, advanced: Json) -> str:
    role, rule, alternate = (
        advanced[each] for each in ("roleArn", "productionListenerRule", "alternateTargetGroupArn")
    )
    if iam.refuses(reader, role, "ecs.amazonaws.com"):
        return (
            f"{_INVALID}. ECS was unable to manage the ELB resources due to missing permissions on ECS Infrastructure "
            f"Role '{role}'."
        )
    weights = elb.weights(reader, rule) or {}
    active = [each for each, weight in weights.items() if weight]
    stranger = next((each for each in active if each not in (mine, other)), None)
    if stranger is not None:
        return (
            f"{_INVALID}. Production listener rule is forwarding traffic to unexpected target group {stranger}. "
            f"Expected traffic to be forwarded to either targetGroupArn: {mine if other == alternate else other} or "
            f"alternateTargetGroupArn: {alternate}"
        )
    if len(active) != 1:
        return (
            f"{_INVALID}. productionListenerRule {rule} should have exactly one target group serving traffic but found "
            f"{len(active)} target groups which are serving traffic"
        )
    if elb.protocol(reader, rule):
        return ""  # a listener of a network load balancer, which gets to know them
    known = weights.keys() | (elb.weights(reader, advanced.get("testListenerRule", "")) or {}).keys()
    for each in (mine, other):
        if each not in known:
            return (
                f"{_INVALID}: Target group {each} is not associated with either productionListenerRule or "
                "testListenerRule."
            )
    return ""


# Back


def end(
    tx: Transaction,
    service: Service,
    why: str,
    now: float,
    random: Random,
    *,
    breaker: bool = False,
    reason: str = "",
    back: bool = True,
) -> Service:
    """The primary deployment has failed; ``reason`` is what is shown where it is not made of ``why``.

    ``back``: where there is something to go back to, it does: traffic at once where blue still serves beside it, else
    none is shifted, and tasks replace one another where it is led to.
    """
    progress = None if decided(service) else service.primary.progress
    target = rollback_target(tx, service, random, now) if back else None
    service = rollout.fail(service, why, now, random, breaker=breaker, reason=reason)
    if target is None:
        return service
    if progress is not None:
        _take_back(tx, service.primary, progress)
        green = service.primary
        failed = replace(green, progress=replace(progress, production=0.0, test=0.0))
        service = replace(service, deployments=[failed, *service.deployments[1:]])
        left = Back(service_deployment_arn=green.service_deployment_arn, revision_arn=green.revision_arn)
        returned = stages.returned(progress, left, now, lambda entered: hooks.runs(entered, random, now))
        target = replace(target, progress=returned)
    else:
        target = _in_place(tx, service, target, now)
    return rollout.roll_back(service, target, now, random, breaker=breaker)


def _in_place(tx: Transaction, service: Service, target: Deployment, now: float) -> Deployment:
    """A deployment that takes the place of the primary one without any traffic shifted: in the target groups that it is
    in, once those are gone that are in others. What it shifted itself when it was new is over."""
    known = {each.id for each in service.deployments}
    revision, led = (tx.get(SERVICE_REVISIONS, each.revision_arn) for each in (target, service.primary))
    if target.id not in known and revision is not None and led is not None:
        resolved = [_resolve(tx, each, groups(led), rolls=True) for each in revision.load_balancers]
        if resolved != serving(revision):
            tx.put(SERVICE_REVISIONS, replace(revision, resolved=resolved))
    shifted = any(each.progress is not None for each in service.deployments)
    progress = stages.begin(
        {"strategy": stages.ROLLING, "bakeTimeInMinutes": 0},
        blue=service.primary.id,
        several=shifted and bool(known - {target.id, service.primary.id}),
        balanced=False,
        now=now,
    )
    return replace(target, progress=progress)


def rollback_target(tx: Transaction, service: Service, random: Random, now: float) -> Deployment | None:
    """What a rollback of the primary deployment would go to: blue, else what was completed before."""
    progress = service.primary.progress
    if progress is not None and not decided(service):
        return next((each for each in service.deployments[1:] if each.id == progress.blue), None)
    return history.rollback_target(tx, service, random, now)
