"""From the numbers that describe one face to its pixels."""

import jax.numpy as jnp
from jax import Array

from jaxfer.data.synthetic import features
from jaxfer.data.synthetic.anatomy import Values
from jaxfer.data.synthetic.head import head
from jaxfer.data.synthetic.shapes import Layer, Pen, ellipse


def render(who: Values, moves: Values, scene: Values, grain: Array) -> Array:
    """Return one face, float32 [3, size, size] in [0, 1].

    `who` and `scene` are the scalars of `anatomy.IDENTITY` and `anatomy.SCENE`; `moves` are the displacements [2] of
    each feature on the image's left and right side; `grain` [size, size] is standard noise.
    """
    size = len(grain)
    axis = (jnp.arange(size, dtype=jnp.float32) + 0.5) * (2 / size) - 1
    image_x, image_y = jnp.meshgrid(axis, axis)
    image = background(image_x, image_y, scene)
    for mask, colour in layers(image_x, image_y, who, moves, scene):
        # The image below stands here once: twice, and XLA (jax 0.12) doubles the code it compiles with every layer.
        image = image * (1 - mask[None]) + mask[None] * colour[:, None, None]
    cast = jnp.stack([1 + scene["warmth"], 1 + scene["tint"], 1 - scene["warmth"]])
    image = image * (scene["exposure"] * cast)[:, None, None] + scene["noise"] * grain[None]
    return jnp.clip(image, 0, 1)


def layers(image_x: Array, image_y: Array, who: Values, moves: Values, scene: Values) -> list[Layer]:
    """Return everything in front of the background, bottom first."""
    size = scene["size"]
    # Edges that fade over 1.6 pixels look sharp and show no steps.
    pen = Pen((1.6 / len(image_x) + scene["blur"]) / size)
    cos, sin = jnp.cos(scene["roll"]) / size, jnp.sin(scene["roll"]) / size
    shifted_x, shifted_y = image_x - scene["x"], image_y - scene["y"]
    x, y = shifted_x * cos + shifted_y * sin, shifted_y * cos - shifted_x * sin
    mean = {name: jnp.mean(move) for name, move in moves.items()}
    behind = head(pen, x, y, who, mean["jaw"], scene)

    x, y = turn(x, 1.1 * who["head_width"], scene["yaw"]), turn(y, 1.3, scene["pitch"])
    left, side = x < 0, jnp.abs(x)
    move = {name: jnp.where(left, both[0], both[1]) for name, both in moves.items()}
    return [
        *behind,
        *features.cheeks(pen, side, y, who, move),
        *features.eyes(pen, side, y, jnp.where(left, -1.0, 1.0), who, move, scene),
        *features.brows(pen, side, y, who, move),
        *features.nose(pen, side, y, who, mean),
        *features.mouth(pen, side, y, who, move, mean),
        *features.glasses(pen, side, y, who),
        foreground(image_x, image_y, scene),
    ]


def turn(along: Array, radius: Array | float, angle: Array) -> Array:
    """Return where a point of a turned ball lies along one axis before the turn: features slide as the head turns."""
    depth = jnp.sqrt(jnp.maximum(0.1 * radius**2, radius**2 - along**2))
    return along * jnp.cos(angle) - depth * jnp.sin(angle)


def background(x: Array, y: Array, scene: Values) -> Array:
    """Return a gentle gradient of one colour, float32 [3, size, size]."""
    colour = jnp.stack([scene["back_red"], scene["back_green"], scene["back_blue"]])
    muted = 0.5 * (colour + jnp.mean(colour))
    along = x * jnp.cos(scene["back_angle"]) + y * jnp.sin(scene["back_angle"])
    return muted[:, None, None] * (1 + scene["back_change"] * along)[None]


def foreground(x: Array, y: Array, scene: Values) -> Layer:
    """Return a round object, out of focus, that covers an edge of some pictures."""
    x = x - scene["object_distance"] * jnp.cos(scene["object_angle"])
    y = y - scene["object_distance"] * jnp.sin(scene["object_angle"])
    disc = Pen(jnp.float32(0.1)).fill(ellipse(x, y, 0.5, 0.5))
    return disc * (scene["object"] < 0.08), scene["object_grey"] * jnp.ones(3)
