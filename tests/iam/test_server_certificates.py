"""Server certificates: kept with sealed keys, shown without them, in use by load balancers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.elb import certificates
from dryport.iam.room import room
from dryport.store.sealing import Sealer
from tests.acm.test_api import Made
from tests.served import Served, refusal


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    state_dir = Path(tempfile.mkdtemp(prefix="dryport-iam-"))
    made = Served(state_dir, [room])
    yield made
    made.stop()
    shutil.rmtree(state_dir)


@pytest.fixture
def iam(served: Served) -> Any:
    return served.client("iam")


def given(made: Made, name: str, **more: Any) -> dict[str, Any]:
    texts = {"CertificateBody": made.body, "PrivateKey": made.key, "CertificateChain": made.chain}
    return {"ServerCertificateName": name, **{key: text.decode() for key, text in texts.items()}, **more}


def test_a_certificate_is_kept_and_shown_without_its_key(iam: Any, served: Served) -> None:
    made = Made()
    shown = iam.upload_server_certificate(**given(made, "shop", Path="/web/", Tags=[{"Key": "a", "Value": "1"}]))
    metadata = shown["ServerCertificateMetadata"]
    assert metadata["Arn"] == "arn:aws:iam::000000000000:server-certificate/web/shop"
    assert metadata["ServerCertificateId"].startswith("ASCA") and metadata["Expiration"] > metadata["UploadDate"]
    found = iam.get_server_certificate(ServerCertificateName="shop")["ServerCertificate"]
    assert found == {
        "ServerCertificateMetadata": metadata,
        "CertificateBody": made.body.decode(),
        "CertificateChain": made.chain.decode(),
        "Tags": [{"Key": "a", "Value": "1"}],
    }
    assert iam.list_server_certificates(PathPrefix="/web/")["ServerCertificateMetadataList"] == [metadata]
    assert iam.list_server_certificates(PathPrefix="/api/")["ServerCertificateMetadataList"] == []
    reader, sealer = served.context.store.reader, Sealer(served.state_dir / "sealing.key", served.context.random)
    certificates.check(reader, "000000000000", "us-east-1", metadata["Arn"])
    (pem,) = certificates.files(reader, sealer, [metadata["Arn"]]).values()
    assert made.body.strip() in pem and made.key.strip() in pem
    iam.delete_server_certificate(ServerCertificateName="shop")
    assert refusal(iam.get_server_certificate, ServerCertificateName="shop") == (
        "NoSuchEntity",
        "The Server Certificate with name shop cannot be found.",
    )


def test_one_that_is_renamed_keeps_its_key(iam: Any, served: Served) -> None:
    made = Made()
    iam.upload_server_certificate(**given(made, "old"))
    iam.update_server_certificate(ServerCertificateName="old", NewServerCertificateName="new", NewPath="/x/")
    arn = iam.get_server_certificate(ServerCertificateName="new")["ServerCertificate"]["ServerCertificateMetadata"][
        "Arn"
    ]
    assert arn.endswith(":server-certificate/x/new")
    sealer = Sealer(served.state_dir / "sealing.key", served.context.random)
    (pem,) = certificates.files(served.context.store.reader, sealer, [arn]).values()
    assert made.key.strip() in pem
    iam.tag_server_certificate(
        ServerCertificateName="new", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    )
    iam.untag_server_certificate(ServerCertificateName="new", TagKeys=["a"])
    assert iam.list_server_certificate_tags(ServerCertificateName="new")["Tags"] == [{"Key": "b", "Value": ""}]
    iam.delete_server_certificate(ServerCertificateName="new")


def test_what_cannot_be_kept_is_refused(iam: Any) -> None:
    made, other = Made(), Made("other.test")
    iam.upload_server_certificate(**given(made, "there"))
    for wrong, code in (
        (given(made, "there"), "EntityAlreadyExists"),
        (given(made, "new", CertificateBody="nonsense"), "MalformedCertificate"),
        (given(made, "new", PrivateKey=other.key.decode()), "KeyPairMismatch"),
        (given(made, "new", CertificateChain=other.chain.decode()), "MalformedCertificate"),
    ):
        assert refusal(iam.upload_server_certificate, **wrong)[0] == code
    for number in range(19):
        iam.upload_server_certificate(**given(made, f"n{number}"))
    assert refusal(iam.upload_server_certificate, **given(made, "more"))[0] == "LimitExceeded"
    pages = iam.get_paginator("list_server_certificates").paginate(PaginationConfig={"PageSize": 7})
    assert sum(len(page["ServerCertificateMetadataList"]) for page in pages) == 20
