"""Key pairs."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

from dryport.aws import der
from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import resource_id
from dryport.ec2 import keymaker, model
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, check_dry_run, get, new_tags, operation, select, waiting, with_tags
from dryport.ec2.model import KeyPair
from dryport.gateway.service import Call, Output
from dryport.store import Reader, Transaction

_LONGEST_NAME = 255
_QUOTA = 5000  # a region ("Amazon EC2 quotas")
_SIZES = (1024, 2048, 4096)  # bits of an RSA key
_BEGIN_RFC4716, _END_RFC4716 = "---- BEGIN SSH2 PUBLIC KEY ----", "---- END SSH2 PUBLIC KEY ----"


def described(pair: KeyPair) -> dict[str, Any]:
    """What the calls that make a key pair answer of it."""
    return with_tags({"KeyPairId": pair.id, "KeyName": pair.name, "KeyFingerprint": pair.fingerprint}, pair)


def _find(reader: Reader, account: str, region: str, name: str) -> KeyPair | None:
    return next(iter(reader.find(model.KEY_PAIRS, "name", f"{model.scope(account, region)}/{name}")), None)


def _check_name(reader: Reader, call: Call, name: str) -> None:
    if not name or len(name) > _LONGEST_NAME or not name.isascii() or not name.isprintable():
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ({name}) for parameter KeyName is invalid. Length exceeds maximum of 255 ASCII characters."
            if name
            else "The value for parameter KeyName is empty.",
        )
    if _find(reader, call.account, call.region, name) is not None:
        raise ServiceError("InvalidKeyPair.Duplicate", f"The keypair already exists: {name}")
    if reader.count(model.KEY_PAIRS, "scope", model.scope(call.account, call.region)) >= _QUOTA:
        raise ServiceError("KeyPairLimitExceeded", f"Maximum of {_QUOTA} keypairs reached.")


def _put(tx: Transaction, call: Call, request: Request, kind: str, public_key: str, fingerprint: str) -> KeyPair:
    _check_name(tx, call, request["KeyName"])
    pair = KeyPair(
        id=resource_id(call.random, "key"),
        account=call.account,
        region=call.region,
        tags=new_tags(request, "key-pair"),
        name=request["KeyName"],
        key_type=kind,
        public_key=public_key,
        fingerprint=fingerprint,
        created_at=call.now,
    )
    tx.put(model.KEY_PAIRS, pair)
    return pair


@waiting("CreateKeyPair")
async def create_key_pair(call: Call, request: Request) -> Output:
    check_dry_run(request)
    _check_name(call.store.reader, call, request["KeyName"])
    new_tags(request, "key-pair")
    kind = request.get("KeyType", "rsa")
    made = await keymaker.key_pair(kind, request.get("KeyFormat", "pem"))
    fingerprint = _in_pairs(made.digest) if kind == "rsa" else _ed25519_fingerprint(_blob(made.public))
    public = " ".join(made.public.split()[:2])
    pair = await call.store.transact(lambda tx: _put(tx, call, request, kind, public, fingerprint))
    return {**described(pair), "KeyMaterial": made.private}


def _in_pairs(digest: str) -> str:
    return ":".join(digest[start : start + 2] for start in range(0, len(digest), 2))


def _ed25519_fingerprint(blob: bytes) -> str:
    return base64.b64encode(hashlib.sha256(blob).digest()).decode()


def _blob(public_key: str) -> bytes:
    return base64.b64decode(public_key.split()[1])


@operation("ImportKeyPair")
def import_key_pair(call: Call, request: Request) -> Output:
    """An RSA key's fingerprint is MD5 of its X.509 form, one of Ed25519 SHA-256 of its SSH form in base64.

    Source: "Verify the fingerprint of your key pair", EC2 user guide.
    """
    kind, blob = _read_public_key(request["PublicKeyMaterial"])
    if kind == "rsa":
        exponent, modulus = (int.from_bytes(each) for each in _strings(blob)[1:3])
        x509 = der.rsa_public_key(modulus, exponent)
        fingerprint = _in_pairs(hashlib.md5(x509, usedforsecurity=False).hexdigest())
    else:
        fingerprint = _ed25519_fingerprint(blob)
    public = f"{'ssh-rsa' if kind == 'rsa' else 'ssh-ed25519'} {base64.b64encode(blob).decode()}"
    return described(_put(call.tx, call, request, kind, public, fingerprint))


def _read_public_key(material: bytes) -> tuple[str, bytes]:
    """Type and SSH form (RFC 4253) of a key: as OpenSSH writes it, in RFC 4716's form, in PEM, or in base64 of DER.

    Raises ServiceError.
    """
    try:
        # Clients may have encoded what is base64 already.
        text = material.decode("ascii").strip()
        blob = _ssh_blob(text)
        name, *parts = _strings(blob)
        if name == b"ssh-rsa" and len(parts) == 2 and int.from_bytes(parts[1]).bit_length() in _SIZES:
            return "rsa", blob
        if name == b"ssh-ed25519" and len(parts) == 1 and len(parts[0]) == 32:
            return "ed25519", blob
    except (UnicodeDecodeError, binascii.Error, ValueError, der.Malformed):
        pass
    raise ServiceError("InvalidKey.Format", "Key is not in valid OpenSSH public key format")


def _ssh_blob(text: str) -> bytes:
    words = text.split()
    if words and words[0] in ("ssh-rsa", "ssh-ed25519"):
        return base64.b64decode(words[1], validate=True) if len(words) > 1 else b""
    lines = [line.strip() for line in text.splitlines()]
    if lines and lines[0] == _BEGIN_RFC4716 and lines[-1] == _END_RFC4716:
        return base64.b64decode("".join(line for line in lines[1:-1] if ":" not in line), validate=True)
    encoded = "".join(line for line in lines if not line.startswith("-----"))
    modulus, exponent = der.read_rsa_public_key(base64.b64decode(encoded, validate=True))
    return _string(b"ssh-rsa") + _string(_mpint(exponent)) + _string(_mpint(modulus))


def _strings(blob: bytes) -> list[bytes]:
    """The strings that a blob is made of (RFC 4251, section 5). Raises ValueError."""
    found, position = [], 0
    while position < len(blob):
        length = int.from_bytes(blob[position : position + 4])
        position += 4
        if length > len(blob) - position:
            raise ValueError("a string is cut off")
        found.append(blob[position : position + length])
        position += length
    return found or [b""]


def _string(content: bytes) -> bytes:
    return len(content).to_bytes(4) + content


def _mpint(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1)


@operation("DeleteKeyPair")
def delete_key_pair(call: Call, request: Request) -> Output:
    """Deleting what is not there succeeds."""
    if "KeyPairId" in request:
        pair = next((each for each in select(call, "key", None) if each.id == request["KeyPairId"]), None)
        if pair is None:
            return {"Return": True}
        if request.get("KeyName", pair.name) != pair.name:
            raise ServiceError("InvalidParameterCombination", "KeyName and KeyPairId name different key pairs.")
    elif "KeyName" in request:
        pair = _find(call.tx, call.account, call.region, request["KeyName"])
    else:
        raise ServiceError("MissingParameter", "The request must contain the parameter KeyName or KeyPairId")
    if pair is None:
        return {"Return": True}
    call.tx.delete(model.KEY_PAIRS, pair.id)
    return {"Return": True, "KeyPairId": pair.id}


_FILTERS: filters.Fields[KeyPair] = {
    "fingerprint": lambda k: [k.fingerprint],
    "key-name": lambda k: [k.name],
    "key-pair-id": lambda k: [k.id],
    "tag-key": filters.tags,
}


@operation("DescribeKeyPairs")
def describe_key_pairs(call: Call, request: Request) -> Output:
    found = _named(call, request.get("KeyNames", []), request.get("KeyPairIds", []))
    material = request.get("IncludePublicKey", False)

    def describe(pair: KeyPair) -> dict[str, Any]:
        shape = {
            "KeyPairId": pair.id,
            "KeyType": pair.key_type,
            "Tags": [{"Key": key, "Value": value} for key, value in pair.tags.items()],
            "CreateTime": pair.created_at,
            "KeyName": pair.name,
            "KeyFingerprint": pair.fingerprint,
        }
        return shape | ({"PublicKey": f"{pair.public_key} {pair.name}"} if material else {})

    return {"KeyPairs": [describe(each) for each in filters.apply(request, found, _FILTERS)]}


def _named(call: Call, names: list[str], ids: list[str]) -> list[KeyPair]:
    if not names and not ids:
        return select(call, "key", None)
    found = {name: _find(call.tx, call.account, call.region, name) for name in names}
    missing = [name for name, pair in found.items() if pair is None]
    if missing:
        text = f"'{missing[0]}' does" if len(missing) == 1 else f"'{', '.join(missing)}' do"
        raise ServiceError("InvalidKeyPair.NotFound", f"The key pair {text} not exist")
    pairs = [pair for pair in found.values() if pair is not None] + [get(call, "key", each) for each in ids]
    return list({pair.id: pair for pair in pairs}.values())
