"""The process of one contender: `python contender.py MODULE WAY CASE`, started by `turns.py`.

It says that it is ready, or why it is not. Then each line on standard input is a number of steps, which it takes and
answers with the seconds they took. Between two of these it waits and should use no processor; it says how long it did.
"""

import json
import os
import sys
import time
from importlib import import_module

from machine import versions

PASSES = 8
"""Most passes over the two batches before the timing; they end as soon as the loss is below that of the first."""


def main() -> None:
    """Prepare, then take steps as often as asked."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what frameworks print is no answer

    def answer(**fields) -> None:
        print(json.dumps(fields), file=answers, flush=True)

    module, way, described = sys.argv[1:]
    try:
        from contenders.case import Case

        case = Case(**json.loads(described))
        contender = import_module(f"contenders.{module}").build(case, way)
        contender.run(1)
        losses = warm_up(contender) if case.work == "train" else []
    except (ImportError, NotImplementedError) as error:
        answer(absent=str(error))
        return
    answer(
        losses=losses,
        parameters=contender.parameters,
        device=contender.device,
        versions=versions(*contender.packages),
        **({} if contender.answers is None else {"answers": contender.answers}),
    )
    rested = time.process_time()
    for line in sys.stdin:
        idle, steps = time.process_time() - rested, int(line)
        begun = time.perf_counter()
        contender.run(steps)
        answer(seconds=time.perf_counter() - begun, idle_seconds=idle)
        rested = time.process_time()


def warm_up(contender) -> list[float]:
    """Train for some passes over the batches and return the mean loss of each."""
    losses = [contender.run(2)[0]]
    while len(losses) < PASSES and not losses[-1] < losses[0]:
        losses.append(contender.run(2)[0])
    return losses


if __name__ == "__main__":
    main()
