#!/usr/bin/env python3
"""Makes ``dryport/ec2/instance_types.jsonl.gz`` of the table of EC2's instance types that PyPI's ``moto`` carries.

Only figures are taken, in the shape of DescribeInstanceTypes. Run it with a Python that has moto, seldom: when AWS has
new types. The first line is what most types have; each further one, by name, how a type differs from it (``null``: it
lacks the member).

    python -m venv /tmp/moto && /tmp/moto/bin/pip install moto && /tmp/moto/bin/python bin/_instance_types.py
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections import Counter
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "dryport" / "ec2" / "instance_types.jsonl.gz"
COMMON = 0.5  # the share of the types that have a member, from which it is taken as usual
Facts = dict[str, Any]


def usual(records: list[Facts]) -> Facts:
    """The most common value of every member that most records have."""
    found: Facts = {}
    for name in sorted({name for record in records for name in record}):
        values = [record[name] for record in records if name in record]
        if len(values) < COMMON * len(records):
            continue
        if isinstance(values[0], dict):
            found[name] = usual(values)
        else:
            text, _ = Counter(json.dumps(value) for value in values).most_common(1)[0]
            found[name] = json.loads(text)
    return found


def difference(record: Facts, base: Facts) -> Facts:
    """What to change in ``base`` so that it becomes the record."""
    changed: Facts = {name: None for name in base if name not in record}
    for name, value in record.items():
        if isinstance(value, dict) and isinstance(base.get(name), dict):
            below = difference(value, base[name])
            if below:
                changed[name] = below
        elif name not in base or base[name] != value:
            changed[name] = value
    return changed


def main() -> None:
    found = importlib.util.find_spec("moto")
    if found is None or found.origin is None:
        raise SystemExit("moto is not installed in this Python")
    source = Path(found.origin).parent / "ec2" / "resources" / "instance_types.json.gz"
    table: dict[str, Facts] = json.loads(gzip.decompress(source.read_bytes()))
    for record in table.values():
        del record["InstanceType"]
        record.pop("SupportedInRegion", None)  # is decided here
    base = usual(list(table.values()))
    lines = [json.dumps(base, separators=(",", ":"))]
    for name in sorted(table):
        lines.append(json.dumps({"InstanceType": name, **difference(table[name], base)}, separators=(",", ":")))
    TARGET.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n", 9, mtime=0))
    print(f"{len(table)} types, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
