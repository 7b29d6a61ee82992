"""The pure parts: specifications, users, seccomp, references, words, log lines."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dryport.agent.runtime import pull_errors
from dryport.agent.runtime.containerd import images, k8s_log, registry_hosts
from dryport.agent.runtime.docker.spec import create_body, network_bindings
from dryport.agent.runtime.image_gc import Cleanup, unused
from dryport.agent.runtime.interface import ContainerSpec, Image, Mount, Resources, RuntimeFailure
from dryport.agent.runtime.log_lines import Entry, Joiner
from dryport.agent.runtime.oci import defaults, seccomp, spec, users
from dryport.agent.runtime.processes import signal_number

IMAGE = Image(reference="app", digest="sha256:0", command=["/app"], environment={"A": "image", "B": "image"})
AROUND = spec.Surroundings(root="/r")
PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\nbroken line\n7:x:70:70::/:\n"
GROUP = "root:x:0:\nstaff:x:1001:\nextra:x:1002:app,other\n"


def made(**members: object) -> ContainerSpec:
    return ContainerSpec(id="c", name="c", image="app", **members)  # type: ignore[arg-type]


def test_process() -> None:
    process = spec.process(made(environment={"B": "own"}, init=True), IMAGE, AROUND)
    assert process["args"] == [spec.INIT, "--", "/app"]
    assert {"A=image", "B=own", "HOME=/", f"PATH={defaults.PATH}"} == set(process["env"])
    assert process["capabilities"]["bounding"] == process["capabilities"]["effective"]
    other = spec.Surroundings(root="/r", identity=users.Identity(uid=5, gid=6, home="/h"))
    process = spec.process(made(), IMAGE, other)
    assert process["capabilities"]["effective"] == [] and len(process["capabilities"]["bounding"]) == 14
    with pytest.raises(RuntimeFailure, match="no command specified"):
        spec.process(made(argv=[]), IMAGE, AROUND)


@pytest.mark.parametrize(
    ("add", "drop", "has", "lacks"),
    [
        (["SYS_PTRACE"], [], "CAP_SYS_PTRACE", "CAP_SYS_ADMIN"),
        (["cap_net_admin"], ["ALL"], "CAP_NET_ADMIN", "CAP_CHOWN"),
        (["ALL"], ["CHOWN"], "CAP_SYS_ADMIN", "CAP_CHOWN"),
        ([], ["MKNOD"], "CAP_CHOWN", "CAP_MKNOD"),
    ],
)
def test_capabilities(add: list[str], drop: list[str], has: str, lacks: str) -> None:
    chosen = spec.capabilities(made(add_capabilities=add, drop_capabilities=drop))
    assert has in chosen and lacks not in chosen


def test_unknown_capabilities_and_security_options_are_refused() -> None:
    with pytest.raises(RuntimeFailure, match='invalid capability: "CAP_FLY"'):
        spec.capabilities(made(add_capabilities=["FLY"]))
    with pytest.raises(RuntimeFailure, match="unsupported security option"):
        spec.build(made(security_options=["label:user:x"]), IMAGE, AROUND)


def test_mounts_come_after_what_they_lie_in_and_replace_defaults() -> None:
    mounts = [
        Mount(target="/a/b", source="/2"),
        Mount(target="/dev/shm", kind="tmpfs", size=5),
        Mount(target="/a", source="/1", read_only=True),
    ]
    around = spec.Surroundings(root="/r", shm="/shm")
    config = spec.build(made(mounts=mounts, read_only_root=True), IMAGE, around)
    targets = [mount["destination"] for mount in config["mounts"]]
    assert targets.index("/a") < targets.index("/a/b") and targets.count("/dev/shm") == 1
    assert "ro" in config["mounts"][targets.index("/a")]["options"] and config["root"]["readonly"]


def test_namespaces_and_cgroup() -> None:
    around = spec.Surroundings(root="/r", network="/run/netns/x", pid="host")
    config = spec.build(made(resources=Resources(cgroup_parent="/t/1/", cpu_shares=0)), IMAGE, around)
    namespaces = {each["type"]: each.get("path") for each in config["linux"]["namespaces"]}
    assert namespaces == {"mount": None, "uts": None, "network": "/run/netns/x", "ipc": None}
    assert config["linux"]["cgroupsPath"] == "/t/1/c"
    assert config["linux"]["resources"]["cpu"] == {"shares": 2}


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", (0, 0, [])),
        ("app", (1000, 1001, [1002])),
        ("1000", (1000, 1001, [1002])),
        ("app:root", (1000, 0, [])),
        ("4000", (4000, 0, [])),
        ("4000:extra", (4000, 1002, [])),
        ("7", (70, 70, [])),
    ],
)
def test_users(user: str, expected: tuple[int, int, list[int]]) -> None:
    found = users.resolve(user, PASSWD, GROUP)
    assert (found.uid, found.gid, found.additional) == expected


@pytest.mark.parametrize("user", ["nobody", "app:nobody", "99999999999", "-1"])
def test_unknown_users(user: str) -> None:
    with pytest.raises(RuntimeFailure, match="unable to find"):
        users.resolve(user, PASSWD, GROUP)


def test_links_of_an_image_stay_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (tmp_path / "secret").write_text("root:x:7:7::/:")
    (root / "secret").write_text("inside")
    (root / "etc/passwd").symlink_to("../../../../../secret")
    (root / "loop").symlink_to("loop")
    assert users.inside(root, "/etc/passwd") == root / "secret"
    assert users.inside(root, "/loop") is None and users.inside(root, "/none/x") is None


PROFILE = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
    ],
    "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64"]}},
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
    ],
}


def test_seccomp() -> None:
    none: frozenset[str] = frozenset()
    plain = seccomp.resolve(PROFILE, none, "x86_64", (6, 1))
    assert plain["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert (plain["defaultAction"], plain["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", errno.EPERM)
    assert [call["names"][0] for call in plain["syscalls"]] == ["read", "clone3", "arch_prctl", "ptrace"]
    admin = seccomp.resolve(PROFILE, frozenset({"CAP_SYS_ADMIN"}), "aarch64", (4, 4))
    assert [call["names"][0] for call in admin["syscalls"]] == ["read", "mount"]


@pytest.mark.parametrize(
    ("reference", "registry", "local", "canonical"),
    [
        ("busybox", "", False, "docker.io/library/busybox:latest"),
        ("me/app:2", "", False, "docker.io/me/app:2"),
        ("localhost:5000/app", "localhost:5000", True, "localhost:5000/app:latest"),
        ("1.dkr.ecr.us-east-1.localhost:4566/a/b:1", "1.dkr.ecr.us-east-1.localhost:4566", True, None),
        ("127.0.0.1:5/a:1", "127.0.0.1:5", True, None),
        ("notlocalhost.example:5/a:1", "notlocalhost.example:5", False, None),
        ("r.example/a:1@sha256:00", "r.example", False, "r.example/a@sha256:00"),
    ],
)
def test_references(reference: str, registry: str, local: bool, canonical: str | None) -> None:
    assert registry_hosts.registry_of(reference) == registry
    assert registry_hosts.is_local(registry) is local
    assert images.canonical(reference) == (canonical or reference)


def test_chain_id() -> None:
    """The example of the OCI image specification's rule, worked out by hand with sha256sum."""
    assert images.chain_id(b'{"rootfs": {"diff_ids": ["sha256:aa"]}}') == "sha256:aa"
    two = images.chain_id(b'{"rootfs": {"diff_ids": ["sha256:aa", "sha256:bb"]}}')
    assert two == "sha256:" + hashlib.sha256(b"sha256:aa sha256:bb").hexdigest()


def test_pull_words() -> None:
    raw = 'failed to pull and unpack image "h/x:1": failed to resolve reference "h/x:1": h/x:1: not found'
    assert pull_errors.words(raw, 1) == (
        "pull image manifest has been retried 1 time(s): failed to resolve ref h/x:1: h/x:1: not found"
    )
    assert pull_errors.words('failed to pull and unpack image "h/x:1": failed to copy: x', 5) == (
        "ref pull has been retried 5 time(s): failed to copy: x"
    )
    assert pull_errors.transient("dial tcp 127.0.0.1:1: connect: connection refused")
    assert not pull_errors.transient("not found")


def test_signals() -> None:
    assert [signal_number(name) for name in ("SIGTERM", "term", "9", "RTMIN+3")] == [15, 15, 9, 37]
    with pytest.raises(RuntimeFailure):
        signal_number("SIGNOTHING")


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=8), st.booleans())))
def test_lines_can_be_resumed_after_any(parts: list[tuple[str, bytes, bool]]) -> None:
    """Whoever resumes after a line gets exactly the lines that come after it."""
    entries = [
        Entry(float(n), stream, text, partial, (1, n), (1, n + 1)) for n, (stream, text, partial) in enumerate(parts)
    ]

    def lines(cursor: str) -> list[tuple[str, bytes, str]]:
        joiner = Joiner(cursor)
        found = [line for entry in entries if entry.start >= joiner.begin for line in joiner.add(entry)]
        return [(line.stream, line.line, line.cursor) for line in found + joiner.rest()]

    whole = lines("")
    for place, (_, _, cursor) in enumerate(whole):
        assert [each[:2] for each in lines(cursor)] == [each[:2] for each in whole[place + 1 :]]
    for stream in ("stdout", "stderr"):
        printed = b"".join(text for its, text, _ in parts if its == stream)
        assert b"".join(line for its, line, _ in whole if its == stream) == printed


@given(st.binary(max_size=400))
def test_a_damaged_log_is_no_error(data: bytes) -> None:
    entries = k8s_log.entries(data + b"\n", 1, 0)
    assert all(entry.end[1] <= len(data) + 1 for entry in entries)


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 10_000)), st.sets(st.text(max_size=3)))
def test_image_collection(last_used: dict[str, float], in_use: set[str]) -> None:
    cleanup = Cleanup(minimum_age=3600, per_cycle=5)
    gone = unused(last_used, in_use, 10_000, cleanup)
    assert len(gone) <= cleanup.per_cycle and not set(gone) & in_use
    assert all(10_000 - last_used[id] >= cleanup.minimum_age for id in gone)


def test_docker_body() -> None:
    ports: list[dict[str, object]] = [{"containerPort": 80, "hostPort": 0}]
    ports += [{"containerPortRange": "90-91", "hostPortRange": "40090-40091", "protocol": "udp"}]
    body = create_body(made(argv=["/a", "b"], network="bridge", published_ports=ports, labels={"x": "y"}), "i-1")
    assert (body["Entrypoint"], body["Cmd"]) == (["/a"], ["b"])
    assert set(body["HostConfig"]["PortBindings"]) == {"80/tcp", "90/udp", "91/udp"}
    assert body["HostConfig"]["PortBindings"]["91/udp"] == [{"HostPort": "40091"}]
    assert body["Labels"] == {"x": "y", "dryport.container": "c", "dryport.instance": "i-1"}
    assert "PortBindings" in create_body(made(network="none"), "i")["HostConfig"]
    with pytest.raises(RuntimeFailure, match="no prepared network namespace"):
        create_body(made(network="/run/netns/x"), "i")
    answer = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}], "81/tcp": None}
    assert network_bindings(answer, exclude_ipv6=False) == [
        {"bindIP": "0.0.0.0", "containerPort": 80, "hostPort": 32768, "protocol": "tcp"}
    ]
