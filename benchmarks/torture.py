"""What jaxfer survives, counted: `python benchmarks/torture.py results/torture.json`.

Runs the tests that are marked `torture`, each of which says what it did and how often, and adds that up. Writes nothing
unless all of them pass.
"""

import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

from command import keep, parser
from machine import versions

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run the tests, and keep what they counted."""
    asked = parser(__doc__).parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        spread = ["--numprocesses", "auto", "--dist", "worksteal"]
        command = [sys.executable, "-m", "pytest", "tests", "-m", "torture", *spread, f"--junitxml={report}"]
        ended = subprocess.run(command, cwd=ROOT, check=False)
        if ended.returncode:
            raise SystemExit(ended.returncode)
        counts = counted(report.read_text())
    seconds = round(time.perf_counter() - begun)
    keep(asked, {"versions": versions("jaxfer", "jax", "orbax-checkpoint"), "seconds": seconds, "counts": counts})


def counted(report: str) -> dict[str, int]:
    """Return the sums of what the tests of a report in JUnit's form have recorded, by kind."""
    found = Counter[str]()
    for recorded in ElementTree.fromstring(report).iter("property"):
        found[recorded.attrib["name"]] += int(recorded.attrib["value"])
    return dict(found)


if __name__ == "__main__":
    main()
