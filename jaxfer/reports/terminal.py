"""Tables and lines for a terminal: what was found in data, what came of a run, of a sweep and of an evaluation."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxfer.reports.problems import KINDS, NOTHING_WRONG, in_short, next_steps
from jaxfer.reports.words import Measures, between, by_chance, decimal, known_of, printable, with_temperature

if TYPE_CHECKING:
    from jaxfer.data.checking import Check
    from jaxfer.data.dataset import Dataset
    from jaxfer.data.prepared.run import Prepared
    from jaxfer.evaluation.evaluate import Evaluation
    from jaxfer.metrics.scores import Measure
    from jaxfer.runs.results import CellResult, SweepResult

EXAMPLES = 3
"""How many problems of each kind are shown."""

LEFT_OUT = {
    "leak": "training images that are exact copies of validation or test images",
    "near_leak": "training images that look like validation or test images",
    "duplicate": "exact copies of earlier images of the same split",
}
"""Reasons to leave out an image of a prepared data set that say too little by themselves."""

SWEPT = ("accuracy", "macro_f1", "loss")
"""The scores of a cell that the table of a sweep shows."""

_number = partial(decimal, digits=4, missing="not finite")
_interval = partial(between, shown=_number)


def print_check(check: "Check") -> None:
    """Print what was found in data: the layout, the splits, the problems with examples, and what to do next."""
    console = Console(highlight=False, soft_wrap=True)
    say = lambda text, style=None: console.print(printable(text), style=style, markup=False)  # noqa: E731
    say(f"{check.layout.name}: {check.place} {check.evidence}.")
    for note in check.notes:
        say(f"note: {note}")
    console.print(_checked_splits(check), soft_wrap=False)
    say(check.release.summary)
    say(f"sizes: {_in_line(check.sizes)}; modes: {_in_line(check.modes)}")
    for kind, problems in check.problems.items():
        if not problems:
            continue
        say(f"\n{KINDS[kind].title}: {len(problems):,}", style="bold")
        say(KINDS[kind].meaning)
        for problem in problems[:EXAMPLES]:
            say(f"  {problem.path}: {in_short(problem)}")
        if len(problems) > EXAMPLES:
            say(f"  and {len(problems) - EXAMPLES:,} more")
    steps = next_steps(check)
    say("\nWhat to do next" if steps else f"\n{NOTHING_WRONG}", style="bold")
    for number, step in enumerate(steps, start=1):
        say(f"  {number}. {step}")


def _checked_splits(check: "Check") -> Table:
    """Return the number of images of each class and split, with the difference from the published number."""

    def cell(count: int, apart: int) -> str:
        return f"{count:,} ({apart:+,})" if apart else f"{count:,}"

    apart = {name: check.release.differences.get(name, {}) for name in check.splits}
    classes = next(iter(check.splits.values())).classes if check.splits else ()
    columns = [f"{escape(printable(name))}\n({split.use})" for name, split in check.splits.items()]
    rows = {
        label: [cell(split.classes[label], apart[name].get(label, 0)) for name, split in check.splits.items()]
        for label in classes
    }
    totals = [cell(split.images, sum(apart[name].values())) for name, split in check.splits.items()]
    return _classes(f"{check.images:,} usable images", columns, rows, totals)


def _classes(title: str, columns: list[str], rows: Mapping[str, list[str]], totals: list[str]) -> Table:
    """Return a table of counts with a row for each class, and one for all."""
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    for column in columns:
        table.add_column(column, justify="right")
    for label, cells in rows.items():
        table.add_row(label, *cells)
    table.add_row("all", *totals, style="bold")
    return table


def _in_line(counts: Mapping[str, int]) -> str:
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[:5]]
    return ", ".join(shown) + (", ..." if len(counts) > 5 else "") or "none"


def print_prepared(prepared: "Prepared") -> None:
    """Print what is in a prepared data set, what was left out of it and why, and how to read it."""
    metadata = prepared.metadata
    splits, left_out = metadata["splits"], metadata["left_out"]
    console = Console(highlight=False, soft_wrap=True, markup=False)
    source = metadata["source"]
    console.print(printable(f"{source['name']} ({source['layout']}) is prepared in {prepared.path}"))
    total = sum(split["images"] for split in splits.values())
    rows = {label: [f"{split['classes'][label]:,}" for split in splits.values()] for label in metadata["class_names"]}
    totals = [f"{split['images']:,}" for split in splits.values()]
    console.print(_classes(f"{total:,} images", list(splits), rows, totals), soft_wrap=False)
    for note in metadata["notes"]:
        console.print(printable(f"note: {note}"))
    for reason, found in left_out.items():
        console.print(f"left out: {found['images']:,} {LEFT_OUT.get(reason, reason)}")
    for split, counts in splits.items():
        copies = [f"{count:,} of {other}" for other, count in counts["copies_of"].items() if count and other != split]
        if copies and not (split == "train" and "leak" in left_out):
            console.print(f"kept, in {split}: exact copies of other splits' images, {', '.join(copies)}")
    console.print(f"All of it, with names: {prepared.path / 'metadata.json'}")
    console.print(f'tfds reads it by tfds.data_source("{prepared.name}", data_dir="{prepared.path.parents[2]}")')


def print_data(data: "Dataset") -> None:
    """Print what a data set holds and what was left out of it."""
    splits = f"{len(data.train):,} faces in {data.train.name}, {len(data.val):,} in {data.val.name}"
    print(printable(f"{data.source}: {splits}"))
    for reason, count in data.left_out.items():
        print(f"left out: {count:,} {reason}")
    for warning in data.warnings:
        print(printable(f"note: {warning}"))


def print_summary(summary: Mapping[str, Any], measures: "Mapping[str, Measure] | None" = None) -> None:
    """Print the final table of a run: the scores of both splits, each with its name and number of images.

    Below it, where the program measured it, a line about what its start took.

    Args:
        summary: What `summary.json` holds.
        measures: What is known of scores, by their names: by default `jaxfer.tasks.MEASURES`.
    """
    from jaxfer.tasks import MEASURES  # imports JAX, without which data is checked

    known = Measures(MEASURES if measures is None else measures)
    table = Table(title=f"After epoch {summary['epochs']}, {summary['seconds']:.0f} s of training")
    table.add_column("")
    for name in ("train", "val"):
        scores = summary[name]
        table.add_column(f"{name}: {scores['split']}, n = {scores['examples']:,}", justify="right")
    leading = [name for name in known.names(summary["val"]) if known[name].leading]
    for name in sorted(leading, key=lambda name: name != "loss"):
        table.add_row(name, *(_number(summary[split].get(name)) for split in ("train", "val")))
    console = Console(highlight=False)
    console.print(table)
    if "start_up" in summary:
        console.print(_start_up(summary["start_up"]), soft_wrap=True)


def _start_up(start_up: Mapping[str, Any]) -> str:
    parts = ", ".join(f"{name.replace('_', ' ')} {seconds:.1f} s" for name, seconds in start_up["seconds"].items())
    loaded = start_up["programs_loaded"]
    return f"Start-up: {parts}; {loaded} of {loaded + start_up['programs_compiled']} programs were compiled before"


def print_sweep(sweep: "SweepResult") -> None:
    """Print a line for each cell of a sweep, and below it where the files are and what sharing saved."""
    from jaxfer.tasks import MEASURES  # imports JAX, without which data is checked

    taken, alone = sweep.epochs
    title = f"{len(sweep.rows)} cells after their last epoch, on {sweep.split or 'val'}, n = {sweep.examples:,}"
    table = Table(title=title)
    for path in sweep.fields:
        table.add_column(path.rpartition(".")[2], justify="right")
    for name in SWEPT:
        column = Measures(MEASURES).column(name)
        table.add_column(column[0].lower() + column[1:], justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("run")
    for row in sweep.rows:
        values = [escape(str(value)) for value in row.values.values()]
        table.add_row(*values, *_outcome(row), style="bold" if row is sweep.best else None)
    console = Console(highlight=False)
    console.print(table)
    for row in sweep.rows:
        if row.reason:
            console.print(printable(f"{row.run.name}: {row.reason}"), soft_wrap=True, markup=False)
    if sweep.best is not None:
        console.print("The highest validation accuracy is in bold: it was chosen on the images it is measured on.")
    if taken < alone:
        console.print(f"Cells that share a run took {taken:,} epochs, {alone:,} one by one.")
    console.print(f"Table: {sweep.path / 'table.csv'}", soft_wrap=True, markup=False)


def _outcome(row: "CellResult") -> list[str]:
    name = f"{row.run.name.partition('-')[0]}{f', epoch {row.epoch}' if row.shared else ''}"
    if row.status != "finished":
        return [row.status, *[""] * len(SWEPT), escape(name)]
    return [*(_number(row.scores[score]) for score in SWEPT), f"{row.seconds:.0f}", escape(name)]


def print_evaluation(evaluation: "Evaluation") -> None:
    """Print the scores of one run, labelled with split, number of images, label set and checkpoint."""
    from jaxfer.evaluation import Ensemble

    scores, checkpoint = evaluation.scores, evaluation.trained.checkpoint
    epoch = f"epoch {checkpoint['epoch']} ({checkpoint['chosen']})"
    network = [f"{len(evaluation.members)} runs" if isinstance(evaluation, Ensemble) else epoch]
    network += [] if evaluation.views == "one" else [f"views: {evaluation.views}"]
    measured = evaluation.statistics_images
    network += [f"statistics measured anew on {measured:,} training images"] if measured else []
    table = Table(
        title=f"{escape(evaluation.name)}: {evaluation.role.lower()} split {scores['split']}, "
        f"n = {scores['examples']:,}, {len(scores['class_names'])} classes, {', '.join(network)}"
    )
    for column in ("", evaluation.role, "95% interval"):
        table.add_column(column, justify="right" if column else "left")
    for name in evaluation.measures:
        bounds = scores["intervals"].get(name)
        table.add_row(name, _number(scores[name]), _interval(bounds) if bounds else "")
    console = Console(highlight=False)
    console.print(table)
    if chance := by_chance(scores, _number):
        meaning = "that of a network exactly as sure as it is right, with the same confidences"
        console.print(f"ece {chance}: {meaning}", soft_wrap=True)
    for of, count in known_of(scores).items():
        console.print(f"{of} is known of n = {count:,}")
    if temperature := evaluation.with_temperature:
        console.print(with_temperature(temperature, scores), soft_wrap=True, markup=False)
    if rest := evaluation.without_copies:
        accuracy, bounds = _number(rest["accuracy"]), _interval(rest["intervals"]["accuracy"])
        console.print(
            f"without the {rest['copies']:,} images that have an exact copy in the training split: accuracy {accuracy} "
            f"({bounds}), n = {rest['examples']:,}",
            soft_wrap=True,
        )
    for name, group in evaluation.groups.items():
        accuracy, bounds = _number(group["accuracy"]), _interval(group["intervals"]["accuracy"])
        text = printable(f"{evaluation.by} {name}: accuracy {accuracy} ({bounds}), n = {group['examples']:,}")
        console.print(text, markup=False)
    for note in evaluation.notes():
        console.print(printable(f"note: {note}"), soft_wrap=True, markup=False)


def print_comparison(comparison: Mapping[str, Any]) -> None:
    """Print mean and deviation over runs, and whether each two differ; `comparison` is what `compare` returns."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    runs = len(comparison["runs"])
    for name, found in comparison["over_runs"].items():
        console.print(f"{name} over {runs} runs: {_number(found['mean'])} ± {_number(found['std'])}")
    for text in comparison["differences"]:
        console.print(f"note: the runs differ in more than their seeds ({text})")
    print_tests(comparison)


def print_tests(comparison: Mapping[str, Any]) -> None:
    """Print McNemar's tests alone of what `compare` returns."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for one in comparison["mcnemar"]:
        console.print(
            f"{one['first']} less {one['second']}: accuracy {one['difference']:+.4f} "
            f"({_interval(one['interval'])}), McNemar p = {one['p_value']:.4f} ({one['method']})"
        )
