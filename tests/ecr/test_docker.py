"""Docker and skopeo, unmodified, with the addresses that the API returned."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ecr.conftest import Registry

pytestmark = pytest.mark.platform
BUSYBOX = Path("/bin/busybox")


def run(registry: Registry, *command: str, given: str | None = None) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, env=registry.environment())
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def local_image(registry: Registry, tmp_path: Path) -> Iterator[str]:
    archive = tmp_path / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(BUSYBOX, "bin/busybox")
    name = f"dryport-ecr-test-{registry.port}:1"
    run(registry, "docker", "import", "--change", 'CMD ["/bin/busybox", "true"]', str(archive), name)
    yield name
    subprocess.run(["docker", "rmi", "-f", name], capture_output=True)


def test_login_push_pull_run(registry: Registry, local_image: str) -> None:
    made = registry.client().create_repository(repositoryName=f"web/app-{registry.port}")["repository"]
    uri = made["repositoryUri"]
    password = run(registry, "aws", "ecr", "get-login-password")
    login = run(registry, "docker", "login", "--username", "AWS", "--password-stdin", registry.host, given=password)
    assert "Login Succeeded" in login
    try:
        run(registry, "docker", "tag", local_image, f"{uri}:v1")
        pushed = run(registry, "docker", "push", f"{uri}:v1")
        detail = registry.client().describe_images(repositoryName=made["repositoryName"])["imageDetails"][0]
        assert detail["imageTags"] == ["v1"]
        assert detail["imageDigest"] in pushed
        run(registry, "docker", "rmi", f"{uri}:v1", local_image)
        run(registry, "docker", "pull", f"{uri}:v1")
        run(registry, "docker", "run", "--rm", "--network", "none", f"{uri}:v1")
        pulled = run(registry, "docker", "inspect", "-f", "{{json .RepoDigests}}", f"{uri}:v1")
        assert json.loads(pulled) == [f"{uri}@{detail['imageDigest']}"]
    finally:
        subprocess.run(["docker", "rmi", "-f", f"{uri}:v1"], capture_output=True)


def test_docker_says_what_is_wrong(registry: Registry, local_image: str) -> None:
    password = run(registry, "aws", "ecr", "get-login-password")
    run(registry, "docker", "login", "--username", "AWS", "--password-stdin", registry.host, given=password)
    uri = f"{registry.host}/not/there:1"
    run(registry, "docker", "tag", local_image, uri)
    try:
        push = subprocess.run(["docker", "push", uri], capture_output=True, text=True, env=registry.environment())
        assert push.returncode != 0
        assert (
            "name unknown: The repository with name 'not/there' does not exist in the registry with id '000000000000'"
            in push.stderr
        )
    finally:
        subprocess.run(["docker", "rmi", "-f", uri], capture_output=True)
    pull = subprocess.run(["docker", "pull", uri], capture_output=True, text=True, env=registry.environment())
    assert "name unknown" in pull.stderr


def test_docker_logs_in_to_what_the_api_printed(registry: Registry) -> None:
    data = registry.client().get_authorization_token()["authorizationData"][0]
    run(registry, "docker", "login", "-u", "AWS", "--password-stdin", data["proxyEndpoint"], given=registry.password)
    refused = subprocess.run(
        ["docker", "login", "-u", "AWS", "--password-stdin", registry.host],
        input="wrong",
        capture_output=True,
        text=True,
        env=registry.environment(),
    )
    assert refused.returncode != 0


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_skopeo_there_and_back(registry: Registry, local_image: str, tmp_path: Path, form: str) -> None:
    name = registry.repository()
    credentials = f"AWS:{registry.password}"
    run(
        registry,
        *("skopeo", "--insecure-policy", "copy", "--format", form, "--dest-tls-verify=false"),
        *("--dest-creds", credentials, f"docker-daemon:{local_image}", f"docker://{registry.host}/{name}:1"),
    )
    run(
        registry,
        *("skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--src-creds", credentials),
        *(f"docker://{registry.host}/{name}:1", f"oci:{tmp_path}/back:1"),
    )
    inspected = run(
        registry,
        *("skopeo", "inspect", "--tls-verify=false", "--creds", credentials),
        f"docker://{registry.host}/{name}:1",
    )
    detail = registry.client().describe_images(repositoryName=name)["imageDetails"][0]
    assert json.loads(inspected)["Digest"] == detail["imageDigest"]
    run(
        registry,
        *("skopeo", "delete", "--tls-verify=false", "--creds", credentials),
        f"docker://{registry.host}/{name}:1",
    )
    assert registry.client().describe_images(repositoryName=name)["imageDetails"] == []
