"""Train the small network on FER2013, and on FER+'s votes where they are: the recipe of the weights that ship.

python examples/train_fer2013.py fer2013.csv                                # 100 epochs, scored on PublicTest
python examples/train_fer2013.py fer2013.csv --votes fer2013new.csv         # a second head learns what people saw
python examples/train_fer2013.py fer2013.csv --epochs 30 --then 24          # and a second run from its network
python examples/train_fer2013.py fer2013.csv --then-taught 30               # and one that the run before teaches

With --resume besides, the same command goes on after an interruption. Both files together become an npz of their rows
beside the run, which jaxfer reads as FER2013 with votes, and which a run that goes on has to find there.
"""

import argparse
import dataclasses
import io
import shlex
import sys
from pathlib import Path

import numpy as np

from jaxfer import PRESETS, Config, UserError
from jaxfer.cli.program import run
from jaxfer.cli.start import start_jax
from jaxfer.files import write


def join(faces: Path, votes: Path, joined: Path) -> None:
    """Write the rows of `fer2013.csv` and the votes of `fer2013new.csv`, one line for each of them, as one npz."""
    from jaxfer.data.layouts.fer2013.csv_file import USAGES, rows
    from jaxfer.data.layouts.fer2013.votes_file import votes_in

    if faces.suffix == ".npz":
        raise UserError(f"{faces} is an npz, which has its votes inside, if any: leave out --votes")
    found, voted = list(rows(faces)), votes_in(votes)
    if len(voted) != len(found):
        raise UserError(f"{votes} has {len(voted):,} rows and {faces} has {len(found):,}: pass the files as published")
    for row, vote in zip(found, voted, strict=True):
        if row.image is None or row.code not in range(7) or row.usage not in USAGES:
            raise UserError(f"{faces} line {row.line} is not as published ({row.damage or 'another code or usage'})")
        if vote.counts is None:
            raise UserError(f"{votes} line {vote.line} is not as published: its ten last values are no counts of votes")
    npz = io.BytesIO()
    np.savez_compressed(
        npz,
        images=np.array([row.image for row in found]),
        labels=np.array([row.code for row in found], np.uint8),
        usage=np.array([USAGES.index(row.usage) for row in found], np.uint8),
        ferplus_votes=np.array([vote.counts for vote in voted], np.uint8),
    )
    joined.parent.mkdir(parents=True, exist_ok=True)
    write(npz.getvalue(), joined)


def following(run_dir: Path, config: Config, epochs: int, taught: bool) -> Config:
    """Return the config of a run at half the preset's rate from the network of another, which may teach it as well."""
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, pretrained=run_dir / f"model-epoch-{config.epochs}"),
        optimizer=dataclasses.replace(
            config.optimizer, learning_rate=PRESETS["small"].optimizer.learning_rate / 2, warmup_epochs=1.0
        ),
        distill=dataclasses.replace(config.distill, teachers=(run_dir,) if taught else ()),
        epochs=epochs,
    )


def main() -> None:
    """Join, load, train, evaluate, report, save."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("faces", type=Path, help="fer2013.csv, or an npz of its rows")
    flags.add_argument("--votes", type=Path, help="fer2013new.csv of FER+")
    flags.add_argument("--run-dir", type=Path, default=Path("runs/fer2013"))
    flags.add_argument("--resume", action="store_true")
    flags.add_argument("--epochs", type=int, default=PRESETS["small"].epochs)
    flags.add_argument(
        "--then", type=int, default=0, metavar="EPOCHS", help="of a run from its network, at half the rate"
    )
    flags.add_argument(
        "--then-taught", type=int, default=0, metavar="EPOCHS", help="of such a run that the one before teaches, too"
    )
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    asked = flags.parse_args()

    start_jax()
    from jaxfer import FaceModel, ProgressBar, finish_run, fit, load, load_run, save_model
    from jaxfer.reports import print_data, print_summary
    from jaxfer.runs.folder import refuse_taken
    from jaxfer.training import Interrupted

    faces = asked.faces
    if asked.votes is not None:
        if not asked.resume:
            refuse_taken(asked.run_dir)  # before its data are written over
        faces = asked.run_dir.with_name(f"{asked.run_dir.name}-fer2013.npz")
        if not (asked.resume and faces.exists()):
            join(asked.faces, asked.votes, faces)
    config = PRESETS["small"]
    config = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, data_dir=faces),
        epochs=asked.epochs,
        seed=asked.seed,
    )
    data = load(config.data)
    if data.source.startswith("FER+"):
        raise UserError(
            f"{asked.faces} has FER+'s votes beside it, whose majority would be its labels in place of FER2013's: name "
            "them (--votes), or move them away"
        )
    if "votes" in data.train.columns:
        config = dataclasses.replace(config, model=dataclasses.replace(config.model, heads=("votes",)))
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, dtype=asked.dtype))
    print_data(data)
    runs = [(asked.run_dir, config)]
    for name, epochs, taught in (("then", asked.then, False), ("then-taught", asked.then_taught, True)):
        if epochs:
            runs.append((asked.run_dir.with_name(f"{asked.run_dir.name}-{name}"), following(*runs[-1], epochs, taught)))
    for run_dir, config in runs:
        resume = asked.resume and run_dir.exists()
        try:
            state, history = fit(config, data, run_dir=run_dir, resume=resume, callbacks=[ProgressBar()])
        except Interrupted:
            again = [word for word in sys.argv if word != "--resume"]
            print(f"Continue with: {shlex.join(['python', *again, '--resume'])}", file=sys.stderr)
            raise
        print_summary(finish_run(run_dir, config, data, state, history))
        print(f"Report: {run_dir / 'report.html'}")
        saved = run_dir / f"model-epoch-{config.epochs}"
        if not saved.exists():
            save_model(FaceModel.of_run(load_run(run_dir, "last"), data.class_names), saved)
        print(f"Model: {saved}")


if __name__ == "__main__":
    run(main)
