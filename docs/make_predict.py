"""Write what framing costs into docs/predict.md, from benchmarks/results/framing.json.

python docs/make_predict.py
"""

import json
from pathlib import Path
from typing import Any

from jaxfer.reports.words import between

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results" / "framing.json"
BEGIN, END = "<!-- framing: written by docs/make_predict.py -->", "<!-- end of framing -->"


def main() -> None:
    """Write the part of the page."""
    page = DOCS / "predict.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{part(json.loads(RESULTS.read_text()))}\n{END}{after}")


def part(found: dict[str, Any]) -> str:
    """Return what was measured, in words and a table."""
    how, machine = found["how"], found["machine"]
    rows = "\n".join(row(name, one) for name, one in found["found"].items())
    return f"""What that costs: the same faces as they are, and pasted into pictures of 960 x 640 pixels, {how["sizes"][0]} to {how["sizes"][1]} pixels large and turned by up
to {how["roll"]:g} degrees, where they have to be found first. A face that is not found counts as wrong.

| faces | n | found | accuracy as they are | through detection | as they are, of those found | through detection, of those found |
|---|---|---|---|---|---|---|
{rows}

Seed {how["seed"]}, {machine["cores"]} cores of an {machine["processor"]}; `python benchmarks/framing.py` measures it. The network of FER2013 is the one that ships, by
FER2013's own labels."""


def row(name: str, one: dict[str, Any]) -> str:
    """Return the row of a data set."""
    every, seen = one, one["of_those_found"]
    shown = [shown_share(every["as_they_are"]), shown_share(every["through_detection"])]
    shown += [f"{seen[way]['accuracy']:.4f}" for way in ("as_they_are", "through_detection")]
    return f"| {name} | {one['n']:,} | {one['found']:,} | {' | '.join(shown)} |"


def shown_share(share: dict[str, Any]) -> str:
    """Return an accuracy with its interval."""
    return f"{share['accuracy']:.4f} ({between(share['interval'])})"


if __name__ == "__main__":
    main()
