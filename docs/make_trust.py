"""Write docs/trust.md from benchmarks/results/torture.json: `python docs/make_trust.py`."""

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"

PROMISES = {
    "killed processes": (
        "A run that is killed, by whatever and whenever, goes on with `--resume` and ends with the same bits.",
        "killed at random moments of training and saving, resumed, killed again; the checkpoints and the log of each run "
        "that came to its end were compared with those of an uninterrupted one, bit by bit",
    ),
    "states of a disk after a power cut": (
        "A power cut loses no checkpoint that was written: what replaces or removes anything is on the disk before.",
        "after each change that twenty saves make on the disk, with all that was not synced lost, and with the names alone "
        "kept: each has its newest checkpoint whole",
    ),
    "damaged files of data": (
        "Damaged or hostile data ends in records or in one sentence: no crash, no label but those in the files.",
        "flipped, cut, repeated, replaced, renamed, in every layout that jaxfer reads",
    ),
    "damaged files of JSON": (
        "A damaged configuration, log, summary or index ends in one sentence, or is read as what it says.",
        "of runs, sweeps and prepared data, with wrong types, missing fields, huge numbers, deep nesting",
    ),
    "saves": (
        "Training for long holds no more files, threads or memory than training for a while.",
        "one after another in one process",
    ),
    "runs in one process": (
        "The same holds of many runs, as in a sweep.",
        "one after another",
    ),
}
"""What is counted: the promise, and how it was tried."""


def main() -> None:
    """Write the page."""
    (DOCS / "trust.md").write_text(page(*map(last, ("torture", "saving"))))


def last(name: str) -> dict[str, Any]:
    """Return the last run of a measured file."""
    return json.loads((RESULTS / f"{name}.json").read_text())["runs"][-1]


def page(found: dict[str, Any], saving: dict[str, Any]) -> str:
    """Return the page, in Markdown."""
    rows = [f"| {promise} | {found['counts'][kind]:,} {kind}, {how} |" for kind, (promise, how) in PROMISES.items()]
    machine, versions = found["machine"], found["versions"]
    with_what = f"jaxfer {versions['jaxfer']}, jax {versions['jax']}, Orbax {versions['orbax-checkpoint']}"
    newline = "\n"
    saves = ", ".join(
        f"{row['synced']:.2f} s for {row['megabytes']:,.0f} MB ({row['unsynced']:.2f} s without)"
        for row in saving["saves"]
    )
    return f"""# What you can rely on

Written by `docs/make_trust.py` from what `make torture` counts, which anyone can run; a part of each is in `make test` and `make test-long`.

| promise | tried |
|---|---|
{newline.join(rows)}

None was lost, silently wrong, or ended in a traceback: otherwise the figures would not have been written. {found["seconds"] / 60:.0f} minutes
on {machine["cores"]} cores of an {machine["processor"]}; Python {versions["python"]}, {with_what}.

Training does not wait for a save, unless the next one comes before it has ended. With everything synced to the disk a save
takes {saves}; `benchmarks/saving.py` measured it on {saving["machine"]["cores"]} cores of an {saving["machine"]["processor"]}.

## Your data

- It is read and never changed. Decoded images are kept beside it in a folder `.jaxfer` that jaxfer made and marked, or nowhere
  if that cannot be written; [it can be deleted at any time](data.md). Data that a run of somebody else names is only read.
- Nothing is written, removed or read as a cache through a link that was laid in its place. Links out of the data are followed only
  where you pass `--follow-links`, and never because a run says so.
- Nothing is unpickled, and no code in data, runs or weights is run. Only `--network MODULE:NAME` and a `load_run` of such a run
  with the network passed import code, yours.
- Labels are never guessed: [what is left out is counted and said](data.md).

## Your runs

- A folder that holds a run is not begun again, and not used by two processes at once: the second is told who holds it.
- A checkpoint whose bits changed is refused by its checksums; a `config.json` that was edited is refused on resuming, by the
  names of what differs; [data, settings and pieces that differ are named](training.md).
- A full disk, Ctrl-C and SIGTERM end in a sentence and a status, with the last checkpoint intact.

## Privacy

- jaxfer connects to nothing and reports nothing. The processes of a run on several machines connect to each other, at the
  address that you name and [without a password](devices.md).
- Pages are single files without scripts from elsewhere, but **they show faces**: `check.html` of problems, `evaluation.html` of
  errors. `predictions.csv`, `evaluation.json` and `config.json` name files and folders of your disk. Look before you share
  them. A network that was trained on photographs may hold traces of them.

## What it does not defend against

- Whoever can write to a run's folder while it trains, or to jaxfer's own files, can change its result. Checksums find damage,
  not forgery: who changes weights can change their checksum too. Take weights from where you trust.
- Faults in Pillow, Arrow, TensorStore and XLA, which read images, tables and checkpoints. Keep them current.
- Pictures that were made to be misjudged, and photographs that are no faces.
- [How to report a fault](../SECURITY.md).
"""


if __name__ == "__main__":
    main()
