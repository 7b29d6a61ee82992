"""Operations of Dryport's own: the accounts that there are, and the keys of their root users.

AWS makes accounts by Organizations, which has no keys to give; here whoever has the first account makes the others.
"""

from __future__ import annotations

from typing import Any

from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call, Output, Service
from dryport.iam import credentials
from dryport.iam.model import ACCOUNTS, Account, Credential

FIRST = "first"  # the name of the account that Dryport was started with


def service(first: str) -> Service:
    """The operations; ``first`` is the account whose principals may call them."""
    made = Service("dryport")

    def checked(call: Call) -> None:
        if call.account != first:
            message = f"Only the account {first} makes and lists accounts, not {call.account}."
            raise ServiceError("AccessDeniedException", message, 403)

    def create(call: Call, request: Any) -> Output:
        checked(call)
        name = request["name"]
        if name == FIRST or call.tx.keys(ACCOUNTS, "name", name):
            raise ServiceError("AccountAlreadyExistsException", f"There is an account {name} already.")
        account = Account(id=_free_id(call, first), name=name, created=call.now)
        call.tx.put(ACCOUNTS, account)
        key = credentials.create_root_key(call.tx, call.random, account.id, call.now)
        return {"account": _shown(account), "key": _shown_key(key)}

    def list_all(call: Call, request: Any) -> Output:
        checked(call)
        found = sorted(call.tx.all(ACCOUNTS), key=lambda each: each.created)
        return {"accounts": [{"id": first, "name": FIRST}, *(_shown(each) for each in found)]}

    def rotate(call: Call, request: Any) -> Output:
        checked(call)
        account = call.tx.get(ACCOUNTS, request["accountId"])
        if account is None:
            raise ServiceError("AccountNotFoundException", f"There is no account {request['accountId']} to rotate.")
        for old in credentials.root_keys(call.tx, account.id):
            credentials.forget(call.tx, old)
        key = credentials.create_root_key(call.tx, call.random, account.id, call.now)
        return {"account": _shown(account), "key": _shown_key(key)}

    made.operation("CreateAccount")(create)
    made.operation("ListAccounts")(list_all)
    made.operation("RotateAccountKey")(rotate)
    return made


def _free_id(call: Call, first: str) -> str:
    """Twelve digits that no account has."""
    while True:
        found = str(call.random.randrange(10**11, 10**12))
        if found != first and call.tx.get(ACCOUNTS, found) is None:
            return found


def _shown(account: Account) -> dict[str, Any]:
    return {"id": account.id, "name": account.name, "createdAt": account.created}


def _shown_key(key: Credential) -> dict[str, str]:
    return {"accessKeyId": key.access_key_id, "secretAccessKey": key.secret_access_key}
