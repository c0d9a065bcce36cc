"""The published run whole, for an accelerator: `python benchmarks/fifty_epochs.py results/fifty_epochs-NAME.json`.

50 epochs of the published network on 28,420 drawn faces, batch 32, 2,991 to validate on after each epoch: once in
float32 and once in bfloat16. The clock runs from before the first compilation until the last epoch is validated;
drawing the faces, which another run reads from a disk, is not counted.
"""

import dataclasses
import time

from command import keep, parser
from machine import versions

from jaxfer.config import PRESETS, DataConfig, ModelConfig
from jaxfer.data.synthetic import drawn_dataset
from jaxfer.training import fit


def main() -> None:
    """Measure, print and keep."""
    made = parser(__doc__)
    made.add_argument("--epochs", type=int, default=50)
    made.add_argument("--images", type=int, default=28_420)
    asked = made.parse_args()
    data = DataConfig(drawn_train=asked.images, drawn_val=2991)
    faces = drawn_dataset(data)
    runs = []
    for dtype in ("float32", "bfloat16"):
        model = ModelConfig(dtype=dtype)
        config = dataclasses.replace(PRESETS["published"], data=data, model=model, epochs=asked.epochs)
        begun = time.perf_counter()
        _, rows = fit(config, faces)
        seconds = time.perf_counter() - begun
        print(f"{dtype}: {seconds:.1f} s, of which {rows[0]['seconds']:.1f} s the first epoch")
        runs.append(
            {"dtype": dtype, "seconds": round(seconds, 2), "first_epoch_s": rows[0]["seconds"], "last": rows[-1]}
        )
    sizes = {"epochs": asked.epochs, "images": asked.images}
    keep(asked, sizes | {"fits": runs, "versions": versions("jaxfer", "jax", "flax", "optax", "numpy")})


if __name__ == "__main__":
    main()
