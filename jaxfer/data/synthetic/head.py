"""The head without its features: hair, ears, neck, clothes, and the skin under its light."""

import jax.numpy as jnp
from jax import Array

from jaxfer.data.synthetic.anatomy import Values, hair_colour, shadow_colour, skin_colour
from jaxfer.data.synthetic.shapes import Layer, Pen, box, ellipse, glow


def skull(x: Array, y: Array, who: Values, jaw: Array) -> Array:
    """Return the distance from the outline of the face, whose chin is `jaw` lower than at rest."""
    tapered = x / (1 - who["jaw_taper"] * jnp.clip(y, 0, 1.2) ** 2)
    return ellipse(tapered, y, who["head_width"], jnp.where(y < 0, 1.0, who["chin"] + jaw))


def hair(x: Array, y: Array, who: Values, outline: Array) -> tuple[Array, Array]:
    """Return the distances from the hair behind the head and from the hair in front of it."""
    width, volume, length = who["head_width"], who["hair_volume"], who["hair_length"]
    wave = jnp.maximum(0, who["hair_curl"]) * jnp.sin(9 * x + 3) * jnp.sin(9 * y)
    crown = ellipse(x, y + 0.12, width + volume, 0.92 + volume) + wave
    curtain = box(x, y - 0.5 * length, width + volume - 0.01, 0.5 * jnp.abs(length) + 0.15, 0.15) + wave
    behind = jnp.where(length > 0.2, jnp.minimum(crown, curtain), jnp.maximum(crown, y - 0.1))
    bun = ellipse(x - 0.3 * who["hair_sweep"], y + 1.1 + volume, 0.3, 0.26)
    behind = jnp.where(who["bun"] < 0.12, jnp.minimum(behind, bun), behind)
    across = x * (1 / width)
    hairline = who["hairline"] + who["sideburn"] * across**4 + who["hair_sweep"] * across * (1 - across**2) + 2 * wave
    fringe = jnp.maximum(jnp.maximum(crown, y - hairline), -0.6 - outline)
    return behind, fringe


def head(pen: Pen, x: Array, y: Array, who: Values, jaw: Array, scene: Values) -> list[Layer]:
    """Return the layers from the hair behind the head to the fringe, bottom first."""
    skin, shadow, mane = skin_colour(who), shadow_colour(who), hair_colour(who)
    cloth = jnp.stack([who["cloth_red"], who["cloth_green"], who["cloth_blue"]])
    width = who["head_width"]
    outline = skull(x, y, who, jaw)
    behind, fringe = hair(x, y, who, outline)
    grown = (who["bald"] > 0.08).astype(jnp.float32)
    ear_x, ear_y = jnp.abs(x + 0.12 * scene["yaw"]) - width, y - 0.08
    neck, face = pen.fill(box(x, y - 1.2, 0.36, 0.9, 0.1)), pen.fill(outline)
    depth = jnp.sqrt(jnp.maximum(0.05, 1 - (x * (1 / width)) ** 2 - (y / 1.05) ** 2))
    lit = x * (1 / width) * scene["light_x"] + y * scene["light_y"] + 0.5 * depth
    bearded = jnp.clip(0.9 - 3 * who["beard"], 0, 0.8) * (who["hair_length"] < 0.2)
    beard = bearded * pen.fill(0.78 - 0.7 * (x * (1 / width)) ** 2 - y)
    shine = glow(x - 0.4 * scene["light_x"], y + 0.85, 0.6, 0.16)
    return [
        (grown * pen.fill(behind), mane * 0.82),
        (neck, skin * 0.9),
        (neck * pen.fill(outline - 0.14) * 0.55, shadow),
        (pen.fill(ellipse(x, y - 2.0, 1.2, 0.76)), cloth),
        (pen.fill(ellipse(x, y - 1.25, 0.35, 0.16)) * neck, skin * 0.9),
        (pen.fill(ellipse(ear_x, ear_y, who["ear_size"], 0.2)), skin * 0.95),
        (glow(ear_x - 0.03, ear_y, who["ear_size"] * 0.7, 0.15) * 0.8, shadow),
        (face, skin),
        (face * jnp.clip(0.2 - 0.45 * lit, 0, 0.6) * scene["contrast"], shadow),
        (face * jnp.clip(0.35 * lit, 0, 0.4) * scene["contrast"], 0.25 + 0.75 * skin),
        (face * beard, mane * 0.9),
        (grown * face * pen.fill(fringe - 0.05) * 0.3, shadow),
        (grown * pen.fill(fringe), mane),
        (grown * pen.fill(fringe) * shine * 0.35, mane * 0.5 + 0.5),
    ]
