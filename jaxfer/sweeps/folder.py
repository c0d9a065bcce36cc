"""The folder of a sweep: `sweep.json`, which says what it tries, and a run folder for each of its runs."""

import dataclasses
import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from jaxfer.config import Config, from_json, to_json, with_new_names
from jaxfer.errors import UserError
from jaxfer.files import hold, make, refuse_links
from jaxfer.json_text import check as check_form
from jaxfer.json_text import read
from jaxfer.runs.folder import RunFolder, differences, following_no_links, moved
from jaxfer.sweeps.fields import describe
from jaxfer.sweeps.plan import PlannedRun, plan
from jaxfer.sweeps.search import Search, cell

INDEX = "sweep.json"


def check(sweep_dir: Path, search: Search, *, resume: bool) -> None:
    """Check that a sweep may begin in a folder or, with `resume`, go on in it.

    Args:
        sweep_dir: The folder, which need not exist.
        search: What the sweep tries.
        resume: Whether the folder must hold this sweep, whose data, teachers and weights may have moved; without, it
            must hold none.

    Raises:
        UserError: With `resume`, the folder holds no sweep or another one; without, it holds a sweep or a run, or is a
            file. Or the folder of one of the sweep's runs is a link.
    """
    refuse_links(sweep_dir / "cells", *(sweep_dir / "cells" / run.name for run in plan(search)))
    if not (sweep_dir / INDEX).exists():
        if resume:
            raise _no_sweep(sweep_dir)
        if sweep_dir.is_file() or (sweep_dir / "config.json").exists():
            raise UserError(
                f"{sweep_dir} is not a folder for a sweep, being a run or a file: choose another --sweep-dir"
            )
        return
    if not resume:
        raise UserError(f"{sweep_dir} already holds a sweep: continue it with --resume, or choose another --sweep-dir")
    begun = read_search(sweep_dir)
    changes = differences(begun.base, search.base, but_for=moved(begun.base, search.base))
    if not changes and [c.values for c in begun.cells] != [c.values for c in search.cells]:
        changes = f"{_extent(begun)}, now {_extent(search)}"
    if changes:
        raise UserError(f"{sweep_dir} holds another sweep ({changes}): drop these, or choose another --sweep-dir")


def begin(sweep_dir: Path, search: Search, *, resume: bool, holding: ExitStack) -> None:
    """Keep the folder from other processes, and write `sweep.json`, whole or not at all.

    Args:
        sweep_dir: The folder of the sweep, which is made if need be.
        search: What the sweep tries.
        resume: As for `check`, which is asked again, now that nobody else can begin.
        holding: Keeps the folder until it ends.

    Raises:
        UserError: The folder cannot be made or is in use, `check` refuses, or the file cannot be written.
    """
    cells: list[dict[str, Any]] = [{}] * len(search.cells)
    for run in runs_of(sweep_dir, search):
        for index, epoch in zip(run.cells, run.epochs, strict=True):
            cells[index] = {"values": search.cells[index].values, "run": f"cells/{run.name}", "epoch": epoch}
    index = {"base": json.loads(to_json(search.base)), "fields": search.fields, "search": search.kind, "cells": cells}
    try:
        make(sweep_dir)
    except OSError as error:
        raise UserError(f"the sweep folder {sweep_dir} cannot be made ({error.strerror}): choose another") from error
    holding.enter_context(hold(sweep_dir))
    check(sweep_dir, search, resume=resume)
    RunFolder(sweep_dir).write(INDEX, json.dumps(index, indent=2, default=str) + "\n")


def read_index(sweep_dir: Path) -> dict[str, Any]:
    """Return what `sweep.json` holds, in today's names.

    Raises:
        UserError: There is none, or it is damaged.
    """
    file = sweep_dir / INDEX
    if not file.is_file():
        raise _no_sweep(sweep_dir)
    advice = "start the sweep anew in another folder"
    index = read(file, _INDEX, advice)
    for place, entry in enumerate(index["cells"]):
        where = f"{file}: cells[{place}]: values"
        for values in entry["values"].values():
            for value in values if isinstance(values, list) else [values]:
                check_form(value, (str, int, float, bool, type(None)), where, advice)
        if not set(index["fields"]) <= set(entry["values"]):
            raise UserError(f"{where} is damaged: it lacks one of {', '.join(index['fields'])}; {advice}")
        if not re.fullmatch(r"cells/[^/]*[^/.][^/]*", entry["run"]):
            raise UserError(f"{where} is damaged: the run is not one of the sweep's folder; {advice}")
    return _with_new_names(index)


_INDEX = {
    "base": {"optimizer": dict},
    "fields": dict[str, list],
    "search": str,
    "cells": [{"values": dict, "run": str, "epoch": int}],
}
"""The form of `sweep.json`."""


def runs_of(sweep_dir: Path, search: Search) -> list[PlannedRun]:
    """Return the runs of a search, named after their folders where the sweep in `sweep_dir` has begun."""
    runs = plan(search)
    if not (sweep_dir / INDEX).exists():
        return runs
    # Not as they would be named today: a field or a value may have had another name when they began.
    cells = read_index(sweep_dir)["cells"]
    return [dataclasses.replace(run, name=Path(cells[run.cells[0]]["run"]).name) for run in runs]


def read_search(sweep_dir: Path) -> Search:
    """Return what the sweep in a folder tries.

    Raises:
        UserError: There is none, or it is damaged.
    """
    index = read_index(sweep_dir)
    base = following_no_links(from_json(json.dumps(index["base"]), str(sweep_dir / INDEX)))
    return Search(base, index["search"], tuple(cell(base, entry["values"]) for entry in index["cells"]))


def continued(sweep_dir: Path, base: Config) -> Search:
    """Return what the sweep in a folder tries, around `base`, as when its data has moved.

    Raises:
        UserError: There is no sweep, or it is damaged.
    """
    begun = read_search(sweep_dir)
    return Search(base, begun.kind, tuple(cell(base, values.values) for values in begun.cells))


def _with_new_names(index: dict[str, Any]) -> dict[str, Any]:
    """Return what `sweep.json` holds in today's names and words, since older sweeps had others."""
    cells = [
        entry | {"values": dict(_with_new_name(path, value) for path, value in entry["values"].items())}
        for entry in index["cells"]
    ]
    fields: dict[str, list[Any]] = {}
    for path, value in ((path, value) for path, values in index["fields"].items() for value in values):
        name, word = _with_new_name(path, value)
        fields.setdefault(name, []).append(word)
    return index | {"base": with_new_names(index["base"]), "fields": fields, "cells": cells}


def _with_new_name(path: str, value: Any) -> tuple[str, Any]:
    section, _, name = path.rpartition(".")
    ((name, value),) = with_new_names({section: {name: value}})[section].items()
    return f"{section}.{name}".removeprefix("."), value


def _no_sweep(sweep_dir: Path) -> UserError:
    return UserError(f"{sweep_dir} holds no sweep (no {INDEX}): pass the folder of one, or start without --resume")


def _extent(search: Search) -> str:
    return f"a {search.kind} search of {len(search.cells)} cells over {describe(search.fields)}"
