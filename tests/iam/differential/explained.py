"""Where the npm package and AWS's documentation differ, and the documentation decides.

Each rule says what a case must have for its answers to differ; a case of which no rule speaks must be answered alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from dryport.iam.policy.patterns import Variable, tokens


class Given(NamedTuple):
    """One key of a statement's conditions, and what the request has for it."""

    operator: str
    values: list[str]
    given: str | list[str] | None
    variables: bool


def reasons(case: dict[str, Any]) -> set[str]:
    """The rules that speak of a case."""
    return {name for name, rule in RULES.items() if rule(case)}


def _listed(body: dict[str, Any], name: str) -> list[str]:
    given = body.get(name, [])
    return given if isinstance(given, list) else [given]


def _statements(case: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    named = [*case["identityPolicies"], *case.get("permissionBoundaryPolicies", ())]
    named += [policy for level in case["serviceControlPolicies"] for policy in level["policies"]]
    documents = [policy["policy"] for policy in named]
    documents += [case[name] for name in ("resourcePolicy", "sessionPolicy") if name in case]
    for document in documents:
        for statement in document["Statement"]:
            yield statement, document["Version"] == "2012-10-17"


def _conditions(case: dict[str, Any]) -> Iterator[Given]:
    context = {key.lower(): value for key, value in case["request"]["contextVariables"].items()}
    for statement, variables in _statements(case):
        for operator, keys in statement.get("Condition", {}).items():
            for key, values in keys.items():
                listed = values if isinstance(values, list) else [values]
                yield Given(operator, listed, context.get(key.lower()), variables)


def _any(rule: Callable[[Given], bool]) -> Callable[[dict[str, Any]], bool]:
    return lambda case: any(map(rule, _conditions(case)))


def _if_exists_of_any(given: Given) -> bool:
    return given.operator.startswith("ForAnyValue:") and given.operator.endswith("IfExists") and not given.given


def _epoch(given: Given) -> bool:
    return given.operator.startswith("Date") and any(value.isdigit() for value in given.values)


def _every_address(given: Given) -> bool:
    return "IpAddress" in given.operator and "0.0.0.0/0" in given.values


def _other_family(given: Given) -> bool:
    family = isinstance(given.given, str) and ":" in given.given
    return given.operator.startswith("NotIp") and any((":" in value) is not family for value in given.values)


def _empty_set(given: Given) -> bool:
    return given.operator == "Null" and given.given == []


def _no_number(given: Given) -> bool:
    return given.operator.startswith("Numeric") and not {"x", "1e1"}.isdisjoint(given.values)


def _null_variable(case: dict[str, Any]) -> bool:
    known = {key.lower() for key in case["request"]["contextVariables"]}

    def absent(values: list[str]) -> bool:
        parts = [token for value in values for token in tokens(value, variables=True)]
        return any(isinstance(t, Variable) and t.key not in known and t.default is None for t in parts)

    if any("Not" in given.operator and given.variables and absent(given.values) for given in _conditions(case)):
        return True
    return any(variables and absent(_listed(body, "NotResource")) for body, variables in _statements(case))


def _older_version(case: dict[str, Any]) -> bool:
    older = [body for body, variables in _statements(case) if not variables]
    return any("${" in text for body in older for text in _listed(body, "Resource") + _listed(body, "NotResource"))


def _spared_in_part(case: dict[str, Any]) -> bool:
    caller = case["request"]["principal"]
    account, name = caller.split(":")[4:6]
    role = f"arn:aws:iam::{account}:role/{name.split('/')[1]}"
    for statement, _ in _statements(case):
        element = statement.get("NotPrincipal")
        listed = _listed(element, "AWS") if isinstance(element, dict) else []
        if not {account, f"arn:aws:iam::{account}:root", caller, role}.isdisjoint(listed):
            return True
    return False


def _names_the_session(case: dict[str, Any]) -> bool:
    direct = ({"*", case["request"]["principal"]}) if "sessionPolicy" in case else set()
    for statement in case.get("resourcePolicy", {}).get("Statement", ()):
        element = statement.get("Principal", {})
        if not direct.isdisjoint([element] if isinstance(element, str) else _listed(element, "AWS")):
            return True
    return False


RULES: dict[str, Callable[[dict[str, Any]], bool]] = {
    # "Condition operators", …IfExists: "If the key is not present, evaluate the condition element as true."
    "IfExists holds for an absent key, with ForAnyValue too": _any(_if_exists_of_any),
    # "Condition operators", Date: a W3C implementation of the ISO 8601 date formats, "or in epoch (UNIX) time".
    "dates may be seconds since the epoch": _any(_epoch),
    # "Condition operators", IP address: a range in CIDR format; 0.0.0.0/0 has every IPv4 address in it (RFC 4632).
    "0.0.0.0/0 is every address": _any(_every_address),
    # "Condition operators", IP address: NotIpAddress holds for every address out of the range, of IPv6 too.
    "an address of IPv6 is in no range of IPv4": _any(_other_family),
    # "Condition operators", Null: true where the key "doesn't exist or its value is null", as an empty set is.
    "Null holds for an empty set": _any(_empty_set),
    # "Condition operators", Numeric: compares "a key to an integer or decimal value"; what is neither equals none.
    "numbers are integers or decimals": _any(_no_number),
    # "Variables and tags": a variable without a value is null, and "there is no equal or like value"; negated it holds.
    "a variable without a value equals nothing": _null_variable,
    # "Variables and tags", "Version": without version 2012-10-17 ${…} is treated as literal text.
    "variables came with version 2012-10-17": _older_version,
    # "NotPrincipal": with Deny the account's ARN must be listed too, and a session's role: its example lists a user
    # and the account, and denies everybody else in that account.
    "NotPrincipal spares whose account and role it lists too": _spared_in_part,
    # "Policies and permissions", Session policies: what a resource-based policy gives to the session itself (its ARN or
    # with a wildcard: "Principal", IAM role principals) is not limited by the session policy.
    "a session policy limits not what is given to the session": _names_the_session,
}
