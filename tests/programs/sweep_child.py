"""A small sweep for tests to kill: `python -m programs.sweep_child FOLDER SEED KILLS`.

It sweeps in `FOLDER/uninterrupted` first, and then again and again in processes that are killed at moments that SEED
decides, `KILLS` times in all: in `FOLDER/killed-0` until that sweep is finished, then in `FOLDER/killed-1`, and so on.
A moment is a step of training or anything that Python does to a file or a folder of the sweep. At the end every sweep
is finished.
"""

import importlib
import os
import random
import signal
import sys
from pathlib import Path

from networks import Linear

from jaxfer.config import Config, DataConfig, OptimizerConfig
from jaxfer.data.batches import Batches
from jaxfer.data.dataset import Dataset
from jaxfer.emotions import AFFECTNET_7
from jaxfer.runs import checkpoints  # noqa: F401 - what a sweep imports, once for all its processes
from jaxfer.sweeps import grid, sweep
from jaxfer.training import program
from programs.child import faces
from programs.small_run import finish

BASE = Config(data=DataConfig(image_size=32), optimizer=OptimizerConfig(optimizer="sgd"), batch_size=16)
SEARCH = grid(BASE, {"learning_rate": (0.01, 1e30), "epochs": (1, 3), "seed": (0, 1)})


class Moments:
    """Counts what happens to a sweep, and kills this process when it has counted far enough."""

    def __init__(self, sweep_dir, last):
        self.place, self.count, self.last = str(sweep_dir), 0, last
        sys.addaudithook(self.see)

        class Counted(Batches):
            def __getitem__(batches, step):  # noqa: N805
                self.happens()
                return super().__getitem__(step)

        program.Batches = Counted

    def see(self, event, arguments):
        if event.startswith(("open", "os.")) and any(map(self.is_there, arguments)):
            self.happens()

    def is_there(self, argument):
        return isinstance(argument, str | Path) and str(argument).startswith(self.place)

    def happens(self):
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def attempt(sweep_dir, last):
    """Sweep in a process of its own; return its exit status and, unless it was killed, how many moments it had."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            os.write(writing, str(run(sweep_dir, last)).encode())
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    os.close(writing)
    with os.fdopen(reading) as counted:
        return os.waitstatus_to_exitcode(status), int(counted.read() or 0)


def run(sweep_dir, last):
    """Sweep in this process, which is killed at moment `last`; return how many moments there were."""
    moments = Moments(sweep_dir, last)
    data = Dataset({"train": faces(44, "train"), "val": faces(21, "val")}, AFFECTNET_7, source="noise", left_out={})
    importlib.import_module("jaxfer.sweeps.run").finish_run = finish
    resume = (sweep_dir / "sweep.json").exists()
    sweep(SEARCH, sweep_dir, load=lambda _: data, resume=resume, model=Linear())
    return moments.count


def main():
    """Sweep, be killed, go on."""
    folder, seed, kills = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    chance, number = random.Random(seed), 0
    status, moments = attempt(folder / "uninterrupted", 0)
    assert status == 0
    while kills:
        status, _ = attempt(folder / f"killed-{number}", chance.randint(1, moments // 2))
        assert status in (0, -signal.SIGKILL)
        kills -= status != 0
        number += status == 0
    assert attempt(folder / f"killed-{number}", 0)[0] == 0


if __name__ == "__main__":
    main()
