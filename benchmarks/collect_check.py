"""Keep how many problems a data set has: `python benchmarks/collect_check.py DIR results/NAME.json`.

The file holds the layout, the classes of each split, and of each kind of problem how many there are in each split, and
for copies in each pair of splits, without any path or picture.
"""

import json
import time
from collections import Counter

from machine import machine, versions
from places import places

from jaxfer.cli.program import run
from jaxfer.data import check
from jaxfer.reports import images_bar


def main() -> None:
    """Check and count."""
    data_dir, out = places(__doc__, "data_dir", "out")
    start = time.perf_counter()
    found = check(data_dir, watch=images_bar).to_dict()
    seconds = time.perf_counter() - start
    result = {
        "layout": found["layout"],
        "release": found["release"],
        "splits": found["splits"],
        "problems": {kind: counts(entries) for kind, entries in found["problems"].items()},
        "seconds": round(seconds, 1),
        "machine": machine(),
        "versions": versions("jaxfer", "numpy", "pillow"),
    }
    out.write_text(json.dumps(result, indent=1) + "\n")


def counts(entries: list[dict[str, str]]) -> dict[str, int]:
    """Return how many entries each split, or pair of splits, has, and all together."""
    each = Counter(" and ".join(filter(None, (entry["split"], entry.get("other_split")))) for entry in entries)
    return {"all": len(entries)} | dict(sorted(each.items()))


if __name__ == "__main__":
    run(main)
