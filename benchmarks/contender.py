"""The process of one contender: `python contender.py MODULE WAY CASE`, started by `turns.py`.

It says that it is ready, or why it is not. Then each line on standard input is a number of steps, which it takes and
answers with the seconds they took. Between two of these it waits and should use no processor; it says how long it did.
"""

import json
import os
import sys
import time
from importlib import import_module
from importlib.metadata import version

CHECKED = 4
"""Steps over which the loss is averaged, first and last before the timing: as many as there are batches."""


def main() -> None:
    """Prepare, then take steps as often as asked."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what frameworks print is no answer

    def answer(**fields) -> None:
        print(json.dumps(fields), file=answers, flush=True)

    module, way, case = sys.argv[1:]
    begun = time.perf_counter()
    try:
        from contenders.case import Case

        contender = import_module(f"contenders.{module}").build(Case(**json.loads(case)), way)
        first, _ = contender.run(CHECKED)
        start = time.perf_counter() - begun
        contender.run(CHECKED)
        last, _ = contender.run(CHECKED)
    except Exception as error:
        if not isinstance(error, ImportError | NotImplementedError):
            raise
        answer(absent=str(error))
        return
    answer(
        start_seconds=round(start, 2),
        losses=[first, last],
        parameters=contender.parameters,
        device=contender.device,
        versions={"python": ".".join(map(str, sys.version_info[:3]))}
        | {package: version(package) for package in contender.packages},
    )
    rested = time.process_time()
    for line in sys.stdin:
        idle, steps = time.process_time() - rested, int(line)
        begun = time.perf_counter()
        contender.run(steps)
        answer(seconds=time.perf_counter() - begun, idle_seconds=idle)
        rested = time.process_time()


if __name__ == "__main__":
    main()
