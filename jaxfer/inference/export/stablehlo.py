"""A network as StableHLO, the language of JAX's compiler: for JAX without jaxfer, on CPUs, GPUs and TPUs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxfer.errors import UserError
from jaxfer.models import Outputs, compiled_for, folded
from jaxfer.models.views import over_views

if TYPE_CHECKING:
    from jaxfer.inference.model import FaceModel

PLATFORMS = ("cpu", "cuda", "tpu")
"""What one program is compiled for, wherever it is written."""

BATCHES = {"1": "1", "32": "32", "any": "b"}
"""For how many images there are programs: the words in the names of their files, and as JAX writes shapes."""


def encode(model: FaceModel) -> dict[str, bytes]:
    """Return the programs, by the names of their files, as `jax.export.deserialize` reads them.

    Each takes images, uint8 RGB [b, side, side, 3], and returns a dict of the network's answers, which are
    probabilities, and of its further heads, float32. That for any number of images is left out where the network
    needs to know their number.

    Args:
        model: The network, of jaxfer's or not.

    Raises:
        UserError: The package flatbuffers is not installed.
    """
    try:
        import flatbuffers  # noqa: F401 - with which JAX writes
    except ImportError as error:
        raise UserError("StableHLO needs a package that is not installed: pip install 'jaxfer[stablehlo]'") from error
    network, variables = folded(model.network, model.variables)
    network = compiled_for(network, "tpu")  # with XLA's own kernels, which are right on all of the platforms
    predict = partial(network.apply, variables, train=False, mask=None)

    def answers(images: jax.Array) -> Outputs:
        said = over_views(predict, images, model.views)  # pyright: ignore[reportArgumentType]
        found = {name: values for name, values in said.items() if name not in ("logits", *model.answers)}
        for answer in model.answers:
            head, columns = model.head(answer)
            temperature = model.temperature if head == "logits" else 1.0
            found[answer] = jax.nn.softmax(said[head][:, jnp.array(columns)] / temperature)
        return found

    def program(count: str) -> bytes:
        shape = export.symbolic_shape(f"{count}, {model.image_size}, {model.image_size}, 3")
        exported = export.export(jax.jit(answers), platforms=PLATFORMS)(jax.ShapeDtypeStruct(shape, np.uint8))
        return bytes(exported.serialize())

    found = {}
    for name, count in BATCHES.items():
        try:
            found[f"batch-{name}.stablehlo"] = program(count)
        except Exception:
            # A network of others may compute with the number of images, as `len` does: JAX raises what it likes.
            if name != "any":
                raise
    return found
