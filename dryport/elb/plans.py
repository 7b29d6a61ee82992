"""What is stored of a load balancer as its data plane's plan. Pure: functions of a ``Reader``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dryport.ec2 import published as ec2
from dryport.elb import attributes as defaults
from dryport.elb import certificates, model
from dryport.elb.classic import plans as classic
from dryport.elb.dataplane import plan
from dryport.elb.model import APPLICATION, HealthCheck, Json, Listener, LoadBalancer, Target, TargetGroup
from dryport.store import Reader


def of(reader: Reader, stored: LoadBalancer) -> plan.Balancer:
    """A balancer with its listeners, rules, the target groups that these name, and their targets.

    Those of network load balancers have no attributes of HTTP's.
    """
    if stored.classic is not None:
        return classic.of(reader, stored, stored.classic)
    listeners = sorted(reader.find(model.LISTENERS, "load_balancer", stored.arn), key=lambda each: each.port)
    made = [_listener(each, reader.find(model.RULES, "listener", each.arn)) for each in listeners]
    attributes = defaults.of_load_balancer(stored)
    return plan.Balancer(
        arn=stored.arn,
        name=stored.name,
        kind=plan.Kind(stored.type),
        scheme=plan.Scheme(stored.scheme),
        vpc_id=stored.vpc_id,
        interfaces=tuple(plan.Interface(zone=each.name, address=each.address) for each in stored.zones),
        listeners=tuple(made),
        groups=tuple(
            _group(reader, each, across=_is(attributes["load_balancing.cross_zone.enabled"]))
            for each in groups(reader, stored.arn)
        ),
        idle_timeout=int(attributes.get("idle_timeout.timeout_seconds", 60)),
        http2=_is(attributes.get("routing.http2.enabled", "true")),
        preserve_host=_is(attributes.get("routing.http.preserve_host_header.enabled", "false")),
        xff_port=_is(attributes.get("routing.http.xff_client_port.enabled", "false")),
        xff_mode=attributes.get("routing.http.xff_header_processing.mode", "append"),
        drop_invalid_headers=_is(attributes.get("routing.http.drop_invalid_header_fields.enabled", "false")),
        access_log=_is(attributes["access_logs.s3.enabled"]),
        tls_headers=_is(attributes.get("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false")),
    )


def groups(reader: Reader, balancer_arn: str) -> list[TargetGroup]:
    """The target groups that a balancer's listeners and rules forward to, by ARN."""
    arns: set[str] = set()
    for listener in reader.find(model.LISTENERS, "load_balancer", balancer_arn):
        arns |= model.forwarded(listener.actions)
        for rule in reader.find(model.RULES, "listener", listener.arn):
            arns |= model.forwarded(rule.actions)
    found = (reader.get(model.TARGET_GROUPS, arn) for arn in sorted(arns))
    return [each for each in found if each is not None]


def _is(value: str) -> bool:
    return value == "true"


def _listener(stored: Listener, rules: Iterable[model.Rule]) -> plan.Listener:
    attributes = defaults.of_listener(stored)
    return plan.Listener(
        arn=stored.arn,
        protocol=stored.protocol,
        port=stored.port,
        default=action(stored.actions),
        rules=tuple(
            plan.Rule(
                priority=each.priority,
                conditions=tuple(condition(one) for one in each.conditions),
                action=action(each.actions),
            )
            for each in sorted(rules, key=lambda each: each.priority)
        ),
        certificates=tuple(certificates.file_id(arn) for arn in stored.certificates),
        certificate_arn=stored.certificates[0] if len(stored.certificates) == 1 else "",
        ssl_policy=stored.ssl_policy or "ELBSecurityPolicy-2016-08",
        response_headers=tuple(defaults.response_headers(attributes)),
        server_header=_is(attributes.get("routing.http.response.server.enabled", "true")),
        idle_timeout=int(attributes.get("tcp.idle_timeout.seconds", 350)),
    )


def action(actions: list[Json]) -> plan.Action:
    """The last action, which routes (those before it authenticate, and are refused). Raises NotCarried."""
    last = actions[-1]
    match last["Type"]:
        case "forward":
            return _forward(last)
        case "redirect":
            return _redirect(last["RedirectConfig"])
        case "fixed-response":
            fixed = last["FixedResponseConfig"]
            kind = fixed.get("ContentType", "text/plain")
            return plan.FixedResponse(
                status=int(fixed["StatusCode"]), content_type=kind, body=fixed.get("MessageBody", "")
            )
        case other:
            raise plan.NotCarried(f"actions of type {other}")


def _forward(stored: Json) -> plan.Forward:
    config = stored.get("ForwardConfig", {})
    listed = config.get("TargetGroups") or [{"TargetGroupArn": stored["TargetGroupArn"]}]
    kept = config.get("TargetGroupStickinessConfig", {})
    # The order says nothing, and another would be another configuration: a reload, which ends idle kept connections.
    listed = sorted(listed, key=lambda each: str(each["TargetGroupArn"]))
    return plan.Forward(
        groups=tuple(plan.Weighted(group=each["TargetGroupArn"], weight=each.get("Weight", 1)) for each in listed),
        stickiness=kept.get("DurationSeconds") if kept.get("Enabled") else None,
    )


def _redirect(stored: Json) -> plan.Redirect:
    names = {"protocol": "Protocol", "host": "Host", "port": "Port", "path": "Path", "query": "Query"}
    given = {name: stored[member] for name, member in names.items() if member in stored}
    return plan.Redirect(permanent=stored["StatusCode"] == "HTTP_301", **given)


def condition(stored: Json) -> plan.Condition:
    """A rule's condition. Raises NotCarried."""
    field = stored["Field"]
    values = tuple(stored.get("Values", ()))
    match field:
        case "host-header":
            return plan.HostHeader(values=_values(stored, "HostHeaderConfig") or values)
        case "path-pattern":
            return plan.PathPattern(values=_values(stored, "PathPatternConfig") or values)
        case "http-header":
            config = stored["HttpHeaderConfig"]
            return plan.HttpHeader(name=config["HttpHeaderName"], values=tuple(config["Values"]))
        case "http-request-method":
            return plan.Method(values=_values(stored, "HttpRequestMethodConfig"))
        case "query-string":
            pairs = stored["QueryStringConfig"]["Values"]
            return plan.QueryString(
                values=tuple(plan.Parameter(key=each.get("Key"), value=each["Value"]) for each in pairs)
            )
        case "source-ip":
            return plan.SourceIp(values=_values(stored, "SourceIpConfig"))
        case other:
            raise plan.NotCarried(f"conditions on {other}")


def _values(stored: Json, member: str) -> tuple[str, ...]:
    return tuple(stored.get(member, {}).get("Values", ()))


def _group(reader: Reader, stored: TargetGroup, *, across: bool) -> plan.TargetGroup:
    attributes = defaults.of_target_group(stored)
    crossing = attributes["load_balancing.cross_zone.enabled"]
    cross_zone = across if crossing == "use_load_balancer_configuration" else _is(crossing)
    algorithm = attributes.get("load_balancing.algorithm.type", "round_robin")
    return plan.TargetGroup(
        arn=stored.arn,
        protocol=stored.protocol,
        version=stored.protocol_version or "HTTP1",
        health_check=_check(stored.health_check),
        targets=tuple(_targets(reader, stored, zones=not cross_zone)),
        algorithm=algorithm,
        stickiness=_stickiness(attributes),
        slow_start=int(attributes.get("slow_start.duration_seconds", 0)),
        cross_zone=cross_zone,
        least_healthy=int(attributes["target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"]),
        proxy_protocol=_is(attributes.get("proxy_protocol_v2.enabled", "false")),
        end_deregistered=_is(attributes.get("deregistration_delay.connection_termination.enabled", "false")),
        end_unhealthy=_is(attributes.get("target_health_state.unhealthy.connection_termination.enabled", "false")),
    )


def _stickiness(attributes: dict[str, str]) -> plan.Stickiness | None:
    if not _is(attributes.get("stickiness.enabled", "false")):
        return None
    kind = attributes["stickiness.type"]
    return plan.Stickiness(
        type=kind,
        duration=int(attributes.get(f"stickiness.{kind}.duration_seconds", 86400)),
        cookie=attributes.get("stickiness.app_cookie.cookie_name", ""),
    )


def _check(stored: HealthCheck) -> plan.HealthCheck:
    return plan.HealthCheck(
        protocol=stored.protocol,
        port=int(stored.port) if stored.port != "traffic-port" else None,
        path=stored.path or "/",
        interval=stored.interval,
        timeout=stored.timeout,
        healthy=stored.healthy,
        unhealthy=stored.unhealthy,
        codes=stored.codes or "200",
    )


def _targets(reader: Reader, group: TargetGroup, *, zones: bool) -> Iterator[plan.Target]:
    """The targets, with their ``zones`` where these matter."""
    for stored in reader.find(model.TARGETS, "group", group.arn):
        found = address(reader, group, stored)
        if found is not None:
            draining = stored.state == model.DRAINING
            yield plan.Target(
                address=found, port=stored.port, zone=zone(reader, group, stored) if zones else None, draining=draining
            )


def address(reader: Reader, group: TargetGroup, target: Target) -> str | None:
    """Where a target is: an instance by its primary private address, ``None`` while that has none."""
    if group.target_type == "ip":
        return target.id
    interface = ec2.primary_interface(reader, target.id)
    return interface.private_ip if interface is not None else None


def zone(reader: Reader, group: TargetGroup, target: Target) -> str | None:
    """In which zone a target is; ``None`` where it is in all."""
    if group.target_type == "instance":
        found = ec2.instance(reader, group.account, group.region, target.id)
        return found.availability_zone if found is not None else None
    if target.zone:
        return target.zone if target.zone != "all" else None
    net = ec2.subnet_of_address(reader, group.vpc_id, target.id)
    return net.availability_zone if net is not None else None


def is_application(stored: LoadBalancer) -> bool:
    """Whether it speaks HTTP."""
    return stored.type == APPLICATION
