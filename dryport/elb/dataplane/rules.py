"""A listener's rules as HAProxy's: conditions, redirects, fixed answers, the choice of a target group. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from dryport.elb.dataplane.plan import (
    Action,
    Condition,
    FixedResponse,
    Forward,
    HostHeader,
    HttpHeader,
    Listener,
    Method,
    NotCarried,
    Parameter,
    PathPattern,
    QueryString,
    Redirect,
    SourceIp,
)
from dryport.elb.dataplane.words import regex, template
from dryport.host.haproxy_words import quoted

SERVER = "hdr Server awselb/2.0"
GROUP_COOKIE = "AWSALBTG"
WEIGHTS = "weights.map"  # beside the configuration
_DRAW = 1_000_000
_TITLES = {
    301: "Moved Permanently",
    302: "Found",
    400: "Bad Request",
    408: "Request Time-out",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
# A name with other characters of RFC 9110's token would need quoting in two grammars at once.
_HEADER = re.compile(r"[A-Za-z0-9_.-]+")


def page(status: int) -> str:
    """The balancer's own answer of a status, as HAProxy's ``return`` and ``http-error`` take it."""
    title = f"{status} {_TITLES[status]}"
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    return f"status {status} content-type text/html string {quoted(body)} {SERVER}"


def only_group(listener: Listener) -> str | None:
    """The ARN of the target group that gets every request, where nothing is to be decided about any."""
    default = listener.default
    if listener.rules or not isinstance(default, Forward) or len(default.groups) != 1 or not default.groups[0].weight:
        return None
    return default.groups[0].group


def groups(listener: Listener) -> set[str]:
    """The ARNs of the target groups that a listener forwards to."""
    return {each.group for action in _actions(listener) if isinstance(action, Forward) for each in action.groups}


def lines(listener: Listener, backends: Mapping[str, str]) -> Iterator[str]:
    """What a frontend does with a request, by the backends' names of the target groups' ARNs.

    ``txn.rule`` becomes the place, from one, of the first rule that matches, 0 for the default one.
    """
    rules = sorted(listener.rules, key=lambda rule: rule.priority)
    for place, rule in enumerate(rules, 1):
        tests = " ".join(condition(each) for each in rule.conditions)
        yield f"http-request set-var(txn.rule) int({place}) if !{{ var(txn.rule) -m found }} {tests}"
    yield "http-request set-var(txn.rule) int(0) if !{ var(txn.rule) -m found }"
    for place, action in enumerate(_actions(listener)):
        yield from _act(action, place, listener, backends)


def _actions(listener: Listener) -> list[Action]:
    """The default action, then those of the rules by their priority."""
    return [listener.default, *(rule.action for rule in sorted(listener.rules, key=lambda rule: rule.priority))]


def weights(listener: Listener) -> Iterator[tuple[str, int]]:
    """What the map of weights says for a listener: how far a draw goes, of a million, for each of several groups.

    So a change of weights is no change of the configuration, and takes no reload.
    """
    for place, action in enumerate(_actions(listener)):
        if isinstance(action, Forward) and len(action.groups) > 1:
            total = sum(group.weight for group in action.groups)
            below = 0
            for group in action.groups:
                below += group.weight
                yield _weight(listener, place, group.group), round(below * _DRAW / total) if total else 0


def _weight(listener: Listener, place: int, group: str) -> str:
    return f"{listener.port}/{place}/{token(group)}"


def condition(asked: Condition) -> str:
    """An anonymous ACL. Raises ``NotCarried`` for a header's name that HAProxy's expressions cannot hold."""
    match asked:
        case HostHeader(values=values):
            return _matches("req.hdr(host),host_only", values, "-i")
        case PathPattern(values=values):
            return _matches("path", values)
        case HttpHeader(name=name, values=values):
            if not _HEADER.fullmatch(name):
                raise NotCarried(f"http-header conditions on the header {name}")
            return _matches(f"req.fhdr({name})", values, "-i")
        case Method(values=values):
            return f"{{ method -m str -- {' '.join(quoted(value) for value in values)} }}"
        case QueryString(values=values):
            return f"{{ query -m reg -i -- {' '.join(_parameter(value) for value in values)} }}"
        case SourceIp(values=values):
            return f"{{ src -- {' '.join(quoted(value) for value in values)} }}"


def _matches(fetch: str, values: Sequence[str], *flags: str) -> str:
    """Whether a text is one of the patterns, which most often are literal but for a star at the end."""
    stems = [value.removesuffix("*") for value in values]
    begun = {value.endswith("*") for value in values}
    special = any(stem in ("", "}") or "*" in stem or "?" in stem for stem in stems)  # a brace would end the condition
    if len(begun) > 1 or special:
        words = ["reg", *flags, "--", *(f"'^{regex(value)}$'" for value in values)]
    else:
        words = ["beg" if begun == {True} else "str", *flags, "--", *(quoted(stem) for stem in stems)]
    return f"{{ {' '.join([fetch, '-m', *words])} }}"


def _parameter(parameter: Parameter) -> str:
    value = regex(parameter.value, "[^&]*", "[^&]", escapes=True)
    key = "([^&=]*=)?" if parameter.key is None else regex(parameter.key, "[^&=]*", "[^&=]", escapes=True) + "="
    return f"'(^|&){key}{value}(&|$)'"


def _act(action: Action, place: int, listener: Listener, backends: Mapping[str, str]) -> Iterator[str]:
    when = f"{{ var(txn.rule) -m int {place} }}"
    match action:
        case FixedResponse(status=status, content_type=kind, body=body):
            bare = not body or status == 204  # no body may be there, and HAProxy takes none
            body = "" if bare else f"content-type {quoted(kind)} string {quoted(body)} "
            yield f"http-request return status {status} {body}{SERVER} if {when}"
        case Redirect():
            yield from _redirect(action, when, listener)
        case Forward():
            yield from _forward(action, when, {each: _weight(listener, place, each) for each in backends}, backends)


def _redirect(action: Redirect, when: str, listener: Listener) -> Iterator[str]:
    secure = listener.protocol == "HTTPS"
    values = {
        "#{protocol}": "https" if secure else "http",
        "#{host}": "%[req.hdr(host),host_only]",
        "#{port}": str(listener.port),
        "#{path}": "%[path,regsub(^/,)]",
        "#{query}": "%[query]",
    }
    protocol = values.get(action.protocol, action.protocol.lower())
    location = f"{protocol}://{template(f'{action.host}:{action.port}{action.path}', values)[1:-1]}"
    answer = f"http-request return {page(301 if action.permanent else 302)}"
    if action.query:
        query = template(action.query, values)[1:-1]
        # A query that is only handed on is not there when the request has none.
        present = " { query -m len 1: }" if action.query == "#{query}" else ""
        yield f'{answer} hdr Location "{location}?{query}" if {when}{present}'
        if not present:
            return
    yield f'{answer} hdr Location "{location}" if {when}'


def _forward(action: Forward, when: str, keys: Mapping[str, str], backends: Mapping[str, str]) -> Iterator[str]:
    if len(action.groups) == 1:
        (only,) = action.groups
        yield _choose(backends[only.group], when) if only.weight else f"http-request return {page(503)} if {when}"
        return
    when_undecided = f"{when} !{{ var(txn.backend) -m found }}"
    if action.stickiness is not None:
        for group in action.groups:
            tied = f"{{ req.cook({GROUP_COOKIE}) -m str {token(group.group)} }}"
            yield _choose(backends[group.group], f"{when_undecided} {tied}")
    yield f"http-request set-var(txn.draw) rand({_DRAW}) if {when}"
    for group in action.groups:
        yield f"http-request set-var(txn.below) str({keys[group.group]}),map_str_int({WEIGHTS},0) if {when_undecided}"
        yield _choose(backends[group.group], f"{when_undecided} {{ var(txn.draw),sub(txn.below) -m int lt 0 }}")
    yield f"http-request return {page(503)} if {when_undecided}"
    if action.stickiness is not None:
        yield f"http-request set-var(txn.tie) int({action.stickiness}) if {when}"


def drawn(listener: Listener, backends: Mapping[str, str]) -> Iterator[str]:
    """Of a listener that passes bytes on to several target groups: the draw of the one that gets a connection."""
    assert isinstance(listener.default, Forward)
    undecided = "!{ var(txn.backend) -m found }"
    yield f"tcp-request content set-var(txn.draw) rand({_DRAW})"
    for group in listener.default.groups:
        below = f"str({_weight(listener, 0, group.group)}),map_str_int({WEIGHTS},0)"
        yield f"tcp-request content set-var(txn.below) {below}"
        chosen = f"set-var(txn.backend) str({backends[group.group]})"
        yield f"tcp-request content {chosen} if {undecided} {{ var(txn.draw),sub(txn.below) -m int lt 0 }}"
    yield f"tcp-request content reject if {undecided}"


def _choose(backend: str, when: str) -> str:
    return f"http-request set-var(txn.backend) str({backend}) if {when}"


def token(arn: str) -> str:
    """What the cookie that ties a client to a target group says of it."""
    return hashlib.sha256(arn.encode()).hexdigest()[:24]


def cookies(listener: Listener, backends: Mapping[str, str]) -> Iterator[str]:
    """The cookies of clients' ties to target groups, given anew with each answer, as AWS's are."""
    tied = {
        group.group
        for action in _actions(listener)
        if isinstance(action, Forward) and action.stickiness is not None and len(action.groups) > 1
        for group in action.groups
    }
    for arn in sorted(tied):
        yield (
            f'http-response add-header Set-Cookie "{GROUP_COOKIE}={token(arn)}; Max-Age=%[var(txn.tie)]; Path=/"'
            f" if {{ var(txn.tie) -m found }} {{ var(txn.backend) -m str {backends[arn]} }}"
        )
