"""Draw a group picture, find the faces in it, and say their expressions: from pixels to an annotated picture.

python examples/predict_group.py                           # the newest run of the preset demo, as `make predict` does
python examples/predict_group.py --model small             # the network that comes with jaxfer, which knows photographs
python examples/predict_group.py --seed 2 --out other
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxfer import Predictor, UserError
from jaxfer.cli.program import run
from jaxfer.data.synthetic import draw_faces
from jaxfer.devices.compile_cache import keep_compiled_programs
from jaxfer.emotions import AFFECTNET_7
from jaxfer.reports.drawing import drawn

CELL = 360  # pixels of the square that each person has


def group(seed: int) -> tuple[Image.Image, list[str]]:
    """Return a picture of eight people in two rows, each below the name of their expression, and these names."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(8) % 7).astype(np.int32)
    picture = Image.new("RGB", (4 * CELL, 2 * CELL + 60), "#7d8a97")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(20)
    for i, face in enumerate(draw_faces(seed, labels, image_size=160)):
        side, roll = int(random.integers(130, 230)), float(random.uniform(-12, 12))
        person = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC).convert("RGBA")
        person = person.rotate(roll, Image.Resampling.BICUBIC, expand=True)
        middle = CELL * (i % 4) + CELL // 2, CELL * (i // 4) + CELL // 2
        picture.paste(person, (middle[0] - person.width // 2, middle[1] - person.height // 2), person)
        above = middle[0], middle[1] - CELL // 2 + 20  # what is predicted stands below
        pen.text(above, f"drawn: {AFFECTNET_7[labels[i]]}", "white", font, anchor="mm")
    return picture, [AFFECTNET_7[label] for label in labels]


def newest_run() -> Path:
    """Return the run of the preset demo that ended last."""
    runs = sorted(Path("runs").glob("demo-*/summary.json"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise UserError("there is no finished run in runs/: `make train` makes one, or pass --model small")
    return runs[-1].parent


def main() -> None:
    """Draw, predict, compare, and write both pictures."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--model", help="small, the folder of a model, or that of a run")
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--out", type=Path, default=Path("runs/predict"))
    asked = flags.parse_args()

    keep_compiled_programs()
    picture, names = group(asked.seed)
    predictor = Predictor.load(asked.model or newest_run(), answer="expression")
    faces = predictor(picture)

    right = 0
    for face in faces:
        (x, y), truth = (
            face.frame.centre,
            names[4 * int(face.frame.centre[1] // CELL) + int(face.frame.centre[0] // CELL)],
        )
        right += face.label == truth
        print(f"{truth:8} at {x:5.0f}, {y:4.0f}: {face.label} {face.confidence:.1%}")
    print(f"{len(faces)} of {len(names)} faces found, {right} named right")

    asked.out.mkdir(parents=True, exist_ok=True)
    picture.save(asked.out / "group.png")
    drawn(picture, faces, predictor.names).save(asked.out / "group-predicted.png")
    print(f"Picture: {asked.out / 'group-predicted.png'}")


if __name__ == "__main__":
    run(main)
