"""One of the processes of a small run, for tests.

`python -m programs.process NETWORK PORT INDEX COUNT RUN_DIR [--flags]`, where NETWORK is as for `programs.child`.

With one process it is alone and has as many devices as otherwise all of them together. `--resume` goes on; `--odd` is
a run whose batches fill neither the devices nor the last step of an epoch; `--teacher RUN_DIR` has the run taught;
`--sweep` trains a grid that has the usual run in it; `--other-images` and `--other-seed` differ from what the rest
trains on; `--save-often` finds a checkpoint due after every step; `--kill STEP`, `--terminate STEP` and `--fail STEP`
end this process before that step, and with `--saved STEP` not before the checkpoint of that step, or of a later one,
is there. `--finish` evaluates and reports what was trained, and `--signal PLACE SIGNUM` has this process send itself a
signal there, see `programs.signalled`.
"""

import argparse
import dataclasses
import importlib
from pathlib import Path

import jax

from jaxfer.cli.program import run
from jaxfer.config import AugmentConfig, DistillConfig, ModelConfig, OptimizerConfig
from jaxfer.data.dataset import Dataset
from jaxfer.devices import Sharded, distributed
from jaxfer.emotions import AFFECTNET_7
from jaxfer.reports import ProgressBar, finish_run
from jaxfer.sweeps import grid, sweep
from jaxfer.training import fit, loop
from programs.child import CONFIG, NETWORKS, EndingBatches, faces
from programs.signalled import signalled
from programs.small_run import finish

# Plain SGD: what adds up in another order stays as near as it was, which Adam would not leave it.
SGD = OptimizerConfig(optimizer="sgd", learning_rate=0.01, ema=0.9, clip_norm=1.0)
EVEN = dataclasses.replace(CONFIG, optimizer=SGD, epochs=2)
ODD = dataclasses.replace(EVEN, model=ModelConfig(), augment=AugmentConfig(), batch_size=18)
DEVICES = 4


def train(config, run_dir, model, *, resume, other_images, finishes):
    train = faces(84, "train")
    if other_images:
        train = dataclasses.replace(train, images=255 - train.images)
    data = Dataset({"train": train, "val": faces(21, "val")}, AFFECTNET_7, source="noise", left_out={})
    options = {"model": model, "parallel": Sharded()}
    state, history = fit(config, data, run_dir=run_dir, resume=resume, callbacks=[ProgressBar()], **options)
    if finishes:
        finish_run(run_dir, config, data, state, history, **options)


def train_grid(config, sweep_dir, model, *, resume):
    data = Dataset({"train": faces(84, "train"), "val": faces(21, "val")}, AFFECTNET_7, source="noise", left_out={})
    search = grid(config, {"learning_rate": (0.01, 1e30), "epochs": (1, 2)})
    importlib.import_module("jaxfer.sweeps.run").finish_run = finish
    sweep(search, sweep_dir, load=lambda _: data, resume=resume, model=model)


def main():
    parser = argparse.ArgumentParser()
    for name, kind in (("network", str), ("port", int), ("index", int), ("count", int), ("run_dir", Path)):
        parser.add_argument(name, type=kind)
    for name in ("resume", "odd", "sweep", "other-images", "other-seed", "save-often", "finish"):
        parser.add_argument(f"--{name}", action="store_true")
    for ending in ("kill", "terminate", "fail"):
        parser.add_argument(f"--{ending}", type=int)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--saved", type=int, default=0)
    parser.add_argument("--signal", nargs=2)
    flags = parser.parse_args()
    if flags.signal:
        signalled(flags.signal[0], int(flags.signal[1]))
    if flags.save_often:
        loop.SAVE_SECONDS = 0.0
    for ending in ("kill", "terminate", "fail"):
        if getattr(flags, ending) is not None:
            EndingBatches.ending, EndingBatches.at = ending, getattr(flags, ending)
            EndingBatches.checkpoints, EndingBatches.saved = flags.run_dir / "checkpoints", flags.saved
            importlib.import_module("jaxfer.training.program").Batches = EndingBatches
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", DEVICES // flags.count)
    if flags.count > 1:
        distributed.SILENT_SECONDS = 6
        distributed.join_processes(f"127.0.0.1:{flags.port}", flags.count, flags.index)
    config = dataclasses.replace(ODD if flags.odd else EVEN, seed=int(flags.other_seed))
    if flags.teacher is not None:
        config = dataclasses.replace(config, distill=DistillConfig(teachers=(flags.teacher,)))
    model = NETWORKS[flags.network].clone(dropout=config.model.dropout)
    if flags.sweep:
        train_grid(config, flags.run_dir, model, resume=flags.resume)
    else:
        options = {"resume": flags.resume, "other_images": flags.other_images, "finishes": flags.finish}
        train(config, flags.run_dir, model, **options)


if __name__ == "__main__":
    run(main)
