"""Account settings: of a principal, of the account by default, and what holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dryport.aws import arn
from dryport.aws.errors import ServiceError
from dryport.ecs import published
from dryport.ecs.api import SERVICE, pages
from dryport.ecs.lookup import invalid
from dryport.ecs.model import ACCOUNT_SETTINGS, AccountSetting, Json, scope
from dryport.ecs.settings import SETTINGS, check, holder
from dryport.gateway.service import Call, Output

if TYPE_CHECKING:
    from types_boto3_ecs import type_defs as types


@SERVICE.operation("PutAccountSetting")
def put_account_setting(call: Call, request: types.PutAccountSettingRequestTypeDef) -> Output:
    """Set it for a principal; set for the root user it is the account's default."""
    return {"setting": _put(call, _principal(call, request), request["name"], request["value"])}


@SERVICE.operation("PutAccountSettingDefault")
def put_account_setting_default(call: Call, request: types.PutAccountSettingDefaultRequestTypeDef) -> Output:
    """Set the account's default."""
    return {"setting": _put(call, _root(call), request["name"], request["value"])}


@SERVICE.operation("DeleteAccountSetting")
def delete_account_setting(call: Call, request: types.DeleteAccountSettingRequestTypeDef) -> Output:
    """Forget a principal's own setting; the answer shows what was set."""
    name, principal = request["name"], _principal(call, request)
    key = f"{scope(call.account, call.region, _known(name))}/{_stored(call, principal)}"
    own = call.tx.get(ACCOUNT_SETTINGS, key)
    call.tx.delete(ACCOUNT_SETTINGS, key)
    value = own.value if own is not None else SETTINGS[name].default
    return {"setting": _shape(name, value, principal)}


@SERVICE.operation("ListAccountSettings")
def list_account_settings(call: Call, request: types.ListAccountSettingsRequestTypeDef) -> Output:
    """A principal's settings: those set for itself, or with ``effectiveSettings`` those that hold."""
    name, value = request.get("name"), request.get("value")
    if value is not None and name is None:
        raise invalid("You must specify an account setting name to filter by value.")
    principal = _principal(call, request)
    found = {each: own for each in sorted(SETTINGS) if (own := _value(call, request, principal, each)) is not None}
    names = [each for each, own in found.items() if name in (None, each) and value in (None, own)]
    chosen, token = pages.page(names, request, most=10)
    answer: Json = {"settings": [_shape(each, found[each], principal) for each in chosen]}
    if token is not None:
        answer["nextToken"] = token
    return answer


def _value(call: Call, request: Any, principal: str, name: str) -> str | None:
    if request.get("effectiveSettings"):
        return published.account_setting(call.tx, call.account, call.region, _stored(call, principal), name)
    own = call.tx.get(ACCOUNT_SETTINGS, f"{scope(call.account, call.region, name)}/{_stored(call, principal)}")
    return own.value if own is not None else None


def _put(call: Call, principal: str, name: str, value: str) -> Json:
    if SETTINGS[_known(name)].managed:
        raise invalid(f"The account setting {name} is managed by AWS and cannot be changed.")
    check(call.service, call.operation, name, value)
    call.tx.put(
        ACCOUNT_SETTINGS,
        AccountSetting(
            account=call.account,
            region=call.region,
            name=name,
            principal_arn=_stored(call, principal),
            value=value,
        ),
    )
    return _shape(name, value, principal)


def _known(name: str) -> str:
    if name not in SETTINGS:
        raise invalid(f"{name} should be one of [{','.join(SETTINGS)}]")
    return name


def _principal(call: Call, request: Any) -> str:
    asked: str | None = request.get("principalArn")
    own = holder(call.principal.arn)
    if asked is None or asked == own:
        return own
    parsed = arn.parse(asked)
    if parsed is None or parsed.service != "iam" or parsed.account != call.account:
        raise invalid("The principal ARN is invalid.")
    if own != _root(call):
        raise ServiceError("AccessDeniedException", "You must be the root user to use another principal.", 400)
    return asked


def _root(call: Call) -> str:
    return arn.make("iam", "", call.account, "root")


def _stored(call: Call, principal: str) -> str:
    return "" if principal == _root(call) else principal


def _shape(name: str, value: str, principal: str) -> Json:
    kind = "aws_managed" if SETTINGS[name].managed else "user"
    return {"name": name, "value": value, "principalArn": principal, "type": kind}
