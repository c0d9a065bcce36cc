"""The command line that the comparing scripts share, and the file that they write: a list of runs."""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contenders.case import Case
from machine import accelerator, machine
from places import to_write
from turns import CONTENDERS, line, measure

SLOW = ("Flax", "Keras on JAX")
"""Who takes part on a CPU in batches of up to 32 alone; beyond, they would take most of the time."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of what every script takes: where to write, and whether after the runs that are there."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "out", type=to_write, nargs="?", help="JSON file to write; without it the numbers are only printed"
    )
    made.add_argument("--append", action="store_true", help="keep the runs that the file has, and add this one")
    return made


def keep(asked: argparse.Namespace, run: dict[str, Any]) -> None:
    """Write a run, with the machine's description, where the command line says; called again, in place of itself."""
    if asked.out is None:
        return
    if "before" not in asked:
        asked.before = json.loads(asked.out.read_text())["runs"] if asked.append and asked.out.exists() else []
    run = {"machine": machine() | {"accelerator": accelerator()}} | run
    asked.out.write_text(json.dumps({"runs": [*asked.before, run]}, indent=1) + "\n")


def compare(description: str | None, cases: Sequence[Case], contenders: Sequence[str]) -> None:
    """Measure the cases that the command line asks for, print them, and keep them as one run."""
    made = parser(description)
    made.add_argument("--peers", default=sys.executable, help="the Python of the peers, by default this one")
    made.add_argument("--rounds", type=int, default=5, help="turns that each contender takes")
    made.add_argument("--network", nargs="+", **among({case.network for case in cases}))
    made.add_argument("--batch", nargs="+", type=int, **among({case.batch for case in cases}))
    made.add_argument("--dtype", nargs="+", **among({case.dtype for case in cases}))
    made.add_argument("--contender", nargs="+", choices=CONTENDERS, default=list(contenders))
    made.add_argument("--minutes", type=float, default=math.inf, help="begin no further case after so many")
    made.add_argument("--missing", action="store_true", help="with --append: leave out what the file's runs have")
    asked, begun = made.parse_args(), time.monotonic()
    cases = [
        case
        for case in cases
        if case.network in asked.network and case.batch in asked.batch and case.dtype in asked.dtype
    ]
    if asked.missing and asked.out and asked.out.exists():
        kept = [case for run in json.loads(asked.out.read_text())["runs"] for case in run["cases"]]
        cases = [case for case in cases if not any(asdict(case).items() <= one.items() for one in kept)]
    computing = [case for case in cases if case.work != "load"]
    measured, beside = [], arithmetic(computing) if accelerator() and asked.out and computing else {}
    for case in cases:
        if time.monotonic() - begun > 60 * asked.minutes:
            print(f"{len(cases) - len(measured)} cases are left after {asked.minutes:g} minutes", flush=True)
            break
        names = [name for name in asked.contender if accelerator() or case.batch <= 32 or name not in SLOW]
        measured.append(measure(case, names, rounds=asked.rounds, peers=asked.peers))
        print(line(measured[-1]), flush=True)
        keep(asked, {"cases": measured} | beside)  # an accelerator may be taken away before the last case


def among(there: set[Any]) -> dict[str, Any]:
    """Return the options of an argument of which all that is there is asked for, unless some of it is."""
    return {"choices": sorted(there), "default": sorted(there)}


def arithmetic(cases: Sequence[Case]) -> dict[str, Any]:
    """Return each number format's rate of matrix products on the accelerator, and the operations that cases ask for."""
    script = Path(__file__).with_name("arithmetic.py")
    command = [sys.executable, str(script), json.dumps([asdict(case) for case in cases])]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
