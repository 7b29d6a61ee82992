"""20,000 generated policies and requests, decided by both; every difference is one that AWS's documentation decides."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.iam.differential import cases, explained, ours

PACKAGE = "@cloud-copilot/iam-simulate@0.1.173"
SCRIPT = Path(__file__).with_name("simulate.mjs")
CASES = int(os.environ.get("DRYPORT_IAM_CASES", "20000"))
SEED = int(os.environ.get("DRYPORT_IAM_SEED", "5"))
INSTALL_SECONDS, RUN_SECONDS = 180, 540


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package: ``DRYPORT_IAM_SIMULATE``, or one that npm fills now, outside the repository."""
    given = os.environ.get("DRYPORT_IAM_SIMULATE")
    if given:
        return Path(given)
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip(f"needs node and npm, to install {PACKAGE} with")
    made = tmp_path_factory.mktemp("simulate")
    command = [npm, "install", "--prefix", str(made), "--ignore-scripts", "--no-audit", "--no-fund", PACKAGE]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"npm did not install {PACKAGE}: {str(error.stderr)[-500:]}")
    return made


def test_as_an_independent_engine_decides(folder: Path) -> None:
    chance = random.Random(SEED)
    made = [cases.case(chance) for _ in range(CASES)]
    ran = subprocess.run(
        ["node", str(SCRIPT), str(folder)],
        input="\n".join(map(json.dumps, made)),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
    theirs = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(theirs) == CASES, ran.stderr
    assert {"Allowed", "ExplicitlyDenied", "ImplicitlyDenied"} == set(theirs)
    different = [
        (answer, mine, case)
        for answer, case in zip(theirs, made, strict=True)
        if answer != (mine := ours.word(ours.decide(case)))
    ]
    unexplained = [one for one in different if not explained.reasons(one[2])]
    assert not unexplained, json.dumps(min(unexplained, key=lambda one: len(str(one))), indent=1)
    assert len(different) < CASES / 50  # rules that spoke of everything would explain everything
