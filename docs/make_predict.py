"""Write what framing costs and how fast it is into docs/predict.md, from files in benchmarks/results.

python docs/make_predict.py
"""

import json
import statistics
from pathlib import Path
from typing import Any

from jaxfer.reports.words import between

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"


def main() -> None:
    """Write the parts of the page."""
    page = DOCS / "predict.md"
    text = page.read_text()
    for name, content in parts().items():
        begin, end = f"<!-- {name}: written by docs/make_predict.py -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{content}\n{end}{after}"
    page.write_text(text)


def parts() -> dict[str, str]:
    """Return the parts by their names."""
    measured = {name: json.loads((RESULTS / f"{name}.json").read_text()) for name in ("framing", "photographs")}
    return {"framing": framing(measured["framing"]), "speed": speed(measured["photographs"])}


def speed(found: dict[str, Any]) -> str:
    """Return how fast photographs are answered, in words and a table."""
    of, machine, versions, passes = (found[name] for name in ("photographs", "machine", "versions", "passes"))
    rows = "\n".join(f"| {name} {versions[name]} | {pace(of['count'], one)} |" for name, one in passes.items())
    first = found["first_answer"]
    return f"""{of["count"]} photographs of {of["size"][0]} x {of["size"][1]} pixels with {of["faces"]} drawn faces, from the files to all answers, in turns with the package `fer` (Haar cascades
and its LiteRT network, its fastest way):

| | photographs a second | processor seconds a photograph | faces found |
|---|---|---|---|
{rows}

Medians of {len(passes["jaxfer"])} passes on {machine["cores"]} cores of an {machine["processor"]}; jaxfer was {found["times_as_fast"]:.1f} times as fast. A new process of
`jaxfer predict` has its first answer after {statistics.median(first["kept_programs"]):.1f} s, and after {first["empty_cache"]:.1f} s where its programs have to be compiled first.
`python benchmarks/photographs.py` measures it. DeepFace is not beside them: its weights have to be fetched."""


def pace(count: int, passes: list[dict[str, float]]) -> str:
    """Return the cells of a row."""
    middle = {name: statistics.median(one[name] for one in passes) for name in passes[0]}
    return f"{count / middle['seconds']:.1f} | {middle['processor_seconds'] / count:.3f} | {middle['faces']:.0f}"


def framing(found: dict[str, Any]) -> str:
    """Return what framing costs, in words and a table."""
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
