"""The account as a whole: its alias, its figures, its credential report."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output
from dryport.iam import credentials, last_use
from dryport.iam.api import SERVICE, attachments, groups, inline, instance_profiles, policies, roles, users, versions
from dryport.iam.api.access_keys import LIMIT as KEYS
from dryport.iam.api.common import Request, exists, listed, no_such_entity, page
from dryport.iam.model import (
    ALIASES,
    IDENTITIES,
    POLICIES,
    PROFILES,
    PROVIDERS,
    REPORTS,
    Alias,
    Credential,
    Identity,
    Report,
)

REPORT_SECONDS = 4 * 3600  # how long a report is given again
_KEY = ["active", "last_rotated", "last_used_date", "last_used_region", "last_used_service"]
_COLUMNS = (
    *["user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed"],
    *["password_next_rotation", "mfa_active"],
    *(f"access_key_{number}_{what}" for number in (1, 2) for what in _KEY),
    *["cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated"],
)


@SERVICE.operation("CreateAccountAlias")
def create_account_alias(call: Call, request: Request) -> Output:
    """Name the account, in the place of the name that it had."""
    alias = request["AccountAlias"]
    taken = call.tx.find(ALIASES, "alias", alias)
    if taken and taken[0].account != call.account:
        raise exists(f"The account alias {alias} already exists.")
    call.tx.put(ALIASES, Alias(account=call.account, alias=alias))
    return None


@SERVICE.operation("DeleteAccountAlias")
def delete_account_alias(call: Call, request: Request) -> Output:
    """Take the account's name away."""
    found = call.tx.get(ALIASES, call.account)
    if found is None or found.alias != request["AccountAlias"]:
        raise no_such_entity(f"The account alias {request['AccountAlias']} cannot be found.")
    call.tx.delete(ALIASES, call.account)
    return None


@SERVICE.operation("ListAccountAliases")
def list_account_aliases(call: Call, request: Request) -> Output:
    """The account's name, if it has one."""
    found = call.tx.get(ALIASES, call.account)
    shown, more = page([found.alias] if found is not None else [], request)
    return {"AccountAliases": shown, **more}


@SERVICE.operation("GetAccountSummary")
def get_account_summary(call: Call, request: Request) -> Output:
    """How much of everything there is, and may be. Of what Dryport does not have there is nothing."""
    tx, account = call.tx, call.account
    kinds = {kind: tx.count(IDENTITIES, "kind", f"{account}/{kind}") for kind in ("user", "group", "role")}
    own = tx.find(POLICIES, "account", account)
    summary = {
        "Users": kinds["user"],
        "UsersQuota": users.LIMIT,
        "Groups": kinds["group"],
        "GroupsQuota": groups.LIMIT,
        "Roles": kinds["role"],
        "RolesQuota": roles.LIMIT,
        "Policies": len(own),
        "PoliciesQuota": policies.LIMIT,
        "PolicySizeQuota": policies.SIZE,
        "PolicyVersionsInUse": sum(len(policy.versions) for policy in own),
        "PolicyVersionsInUseQuota": 10000,
        "VersionsPerPolicyQuota": versions.LIMIT,
        "InstanceProfiles": tx.count(PROFILES, "account", account),
        "InstanceProfilesQuota": instance_profiles.LIMIT,
        "Providers": tx.count(PROVIDERS, "account", account),
        "AccessKeysPerUserQuota": KEYS,
        "AccountAccessKeysPresent": int(any(not key.inactive for key in credentials.root_keys(tx, account))),
        "AssumeRolePolicySizeQuota": roles.TRUST_SIZE,
        "GroupsPerUserQuota": groups.LIMIT_OF_USER,
        **{f"{kind}PolicySizeQuota": inline.SIZES[kind.lower()] for kind in policies.KINDS},
        **{f"AttachedPoliciesPer{kind}Quota": attachments.LIMIT for kind in policies.KINDS},
        "ServerCertificates": 0,
        "ServerCertificatesQuota": 20,
        "SigningCertificatesPerUserQuota": 2,
        "MFADevices": 0,
        "MFADevicesInUse": 0,
        "AccountMFAEnabled": 0,
        "AccountPasswordPresent": 0,
        "AccountSigningCertificatesPresent": 0,
        "GlobalEndpointTokenVersion": 2,
    }
    return {"SummaryMap": summary}


@SERVICE.operation("GenerateCredentialReport")
def generate_credential_report(call: Call, request: Request) -> Output:
    """Have a report; one that is not four hours old yet stays the one."""
    found = call.tx.get(REPORTS, call.account)
    if found is not None and call.now - found.time < REPORT_SECONDS:
        return {"State": "COMPLETE"}
    call.tx.put(REPORTS, Report(account=call.account, time=call.now, content=_report(call)))
    return {"State": "STARTED", "Description": "No report exists. Starting a new report generation task"}


@SERVICE.operation("GetCredentialReport")
def get_credential_report(call: Call, request: Request) -> Output:
    """The report that was generated last."""
    found = call.tx.get(REPORTS, call.account)
    if found is None:
        raise ServiceError("ReportNotPresent", "No report exists. Use GenerateCredentialReport.", 410)
    if call.now - found.time >= REPORT_SECONDS:
        raise ServiceError("ReportExpired", "The most recent credential report has expired.", 410)
    return {"Content": found.content.encode(), "ReportFormat": "text/csv", "GeneratedTime": int(found.time)}


def _report(call: Call) -> str:
    """CSV, a line a user. Source: "Get credential reports for your AWS account", IAM user guide."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    root_keys = credentials.root_keys(call.tx, call.account)
    root_arn = f"arn:aws:iam::{call.account}:root"
    made = min((key.created for key in root_keys if key.created is not None), default=call.now)
    writer.writerow(_line(call, "<root_account>", root_arn, made, "not_supported", root_keys))
    for user in listed(call, "user", {}):
        writer.writerow(_line(call, user.name, user.arn, user.created, "false", _keys(call, user)))
    return text.getvalue().removesuffix("\n")


def _keys(call: Call, user: Identity) -> list[Credential]:
    return credentials.user_keys(call.tx, user)


def _line(call: Call, name: str, arn: str, created: float, password: str, keys: list[Credential]) -> dict[str, str]:
    """What is known of a user; passwords, MFA devices and certificates there are none."""
    line: dict[str, Any] = dict.fromkeys(_COLUMNS, "N/A")
    line |= {"user": name, "arn": arn, "user_creation_time": _time(created), "password_enabled": password}
    line |= {"mfa_active": "false", "cert_1_active": "false", "cert_2_active": "false"}
    if password == "not_supported":
        line |= {"password_last_changed": password, "password_next_rotation": password}
    for number in (1, 2):
        prefix = f"access_key_{number}_"
        key = keys[number - 1] if number <= len(keys) else None
        line[prefix + "active"] = str(key is not None and not key.inactive).lower()
        if key is None:
            continue
        if key.created is not None:
            line[prefix + "last_rotated"] = _time(key.created)
        used = last_use.of(call.tx, key.access_key_id)
        if used is not None:
            line[prefix + "last_used_date"] = _time(used.time)
            line |= {prefix + "last_used_region": used.region, prefix + "last_used_service": used.service}
    return line


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()
