"""Key pairs: made, imported, found, deleted."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.ec2.volumes import by
from tests.served import refusal


def public_of(private: str, directory: Path) -> str:
    """The public key that OpenSSH reads out of a private one."""
    file = directory / "key"
    file.write_text(private + "\n")  # as the AWS CLI prints it
    file.chmod(0o600)
    done = subprocess.run(["ssh-keygen", "-y", "-f", str(file)], capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split()[:2])


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_pair_is_made_once_and_its_private_key_told_once(ec2: Any, tmp_path: Path, kind: str) -> None:
    name = f"made-{kind}"
    made = ec2.create_key_pair(KeyName=name, KeyType=kind)
    assert made["KeyPairId"].startswith("key-") and "PRIVATE KEY" in made["KeyMaterial"]
    (found,) = ec2.describe_key_pairs(KeyNames=[name], IncludePublicKey=True)["KeyPairs"]
    assert found["PublicKey"] == f"{public_of(made['KeyMaterial'], tmp_path)} {name}"
    assert (found["KeyType"], found["KeyFingerprint"]) == (kind, made["KeyFingerprint"])
    assert "KeyMaterial" not in found
    assert refusal(ec2.create_key_pair, KeyName=name)[0] == "InvalidKeyPair.Duplicate"
    assert ec2.delete_key_pair(KeyName=name)["KeyPairId"] == made["KeyPairId"]
    assert ec2.delete_key_pair(KeyName=name)["Return"]
    assert refusal(ec2.describe_key_pairs, KeyNames=[name])[0] == "InvalidKeyPair.NotFound"


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_an_imported_key_has_openssls_or_openssh_fingerprint(ec2: Any, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "mine"
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(file), *(["-b", "2048"] if kind == "rsa" else [])]
    subprocess.run(command, check=True)
    material = file.with_suffix(".pub").read_bytes()
    made = ec2.import_key_pair(KeyName=f"mine-{kind}", PublicKeyMaterial=material)
    if kind == "ed25519":
        told = subprocess.run(["ssh-keygen", "-lf", str(file)], capture_output=True, text=True, check=True).stdout
        assert told.split()[1].removeprefix("SHA256:") == made["KeyFingerprint"].rstrip("=")
    else:
        pem = subprocess.run(
            ["ssh-keygen", "-e", "-m", "PKCS8", "-f", str(file)], capture_output=True, check=True
        ).stdout
        der = subprocess.run(
            ["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem, capture_output=True, check=True
        ).stdout
        told = subprocess.run(["openssl", "md5", "-c"], input=der, capture_output=True, check=True).stdout.decode()
        assert told.split()[-1] == made["KeyFingerprint"]
    (found,) = ec2.describe_key_pairs(Filters=[by("fingerprint", made["KeyFingerprint"])])["KeyPairs"]
    assert found["KeyPairId"] == made["KeyPairId"]


@pytest.mark.parametrize(
    "material", [b"", b"ssh-rsa", b"ssh-rsa AAAA", base64.b64encode(b"nothing"), b"ssh-dss AAAAB3NzaC1kc3M="]
)
def test_what_is_no_key_is_refused(ec2: Any, material: bytes) -> None:
    code, _ = refusal(ec2.import_key_pair, KeyName="broken", PublicKeyMaterial=material)
    assert code in ("InvalidKey.Format", "MissingParameter")


def test_names_that_are_none(ec2: Any) -> None:
    for name in ("", "x" * 256, "naïve"):
        assert refusal(ec2.create_key_pair, KeyName=name, KeyType="ed25519")[0] in (
            "InvalidParameterValue",
            "MissingParameter",
        )
    assert refusal(ec2.delete_key_pair)[0] == "MissingParameter"
