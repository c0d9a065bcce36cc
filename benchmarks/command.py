"""The command line that the comparing scripts share, and the file that they write."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from contenders.case import Case
from machine import accelerator, machine
from turns import CONTENDERS, line, measure


def compare(description: str | None, cases: Sequence[Case], slow: Sequence[str] = ()) -> None:
    """Measure all cases that the command line asks for, print them, and write them where it says.

    The file holds a list of runs. Each of `--runs` starts all processes anew, and is kept as soon as it is done.

    slow: contenders that take part only where a step is short, which is batch 32 or the seed's network.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", help="JSON file to write; without it the numbers are printed only")
    parser.add_argument("--peers", default=sys.executable, help="the Python of the peers, by default this one")
    parser.add_argument("--runs", type=int, default=1, help="how often to measure everything")
    parser.add_argument("--append", action="store_true", help="keep the runs that the file has")
    parser.add_argument("--rounds", type=int, default=9, help="turns that each contender takes")
    parser.add_argument("--network", nargs="+", default=sorted({case.network for case in cases}))
    parser.add_argument("--batch", nargs="+", type=int, default=sorted({case.batch for case in cases}))
    parser.add_argument("--dtype", nargs="+", default=sorted({case.dtype for case in cases}))
    parser.add_argument("--contender", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    asked = parser.parse_args()
    keeps = asked.append and asked.out and asked.out.exists()
    runs = json.loads(asked.out.read_text())["runs"] if keeps else []
    for _ in range(asked.runs):
        measured = []
        for case in cases:
            wanted = (case.network in asked.network, case.batch in asked.batch, case.dtype in asked.dtype)
            if all(wanted):
                short = case.network == "seed" or case.batch <= 32
                names = [name for name in asked.contender if short or name not in slow]
                measured.append(measure(case, names, rounds=asked.rounds, peers=asked.peers))
                print(line(measured[-1]), flush=True)
        runs.append({"machine": machine() | {"accelerator": accelerator()}, "cases": measured})
        if asked.out:
            asked.out.write_text(
                json.dumps({"what": (description or "").splitlines()[0], "runs": runs}, indent=1) + "\n"
            )
