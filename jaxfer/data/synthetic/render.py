"""From the numbers that describe one face to its pixels: layers of paint, each over those before it.

A pixel lies at `x` and `y`, [size, size]: from -1 to 1 in the picture (`image_x`, `image_y`), in half head
heights from the middle of the head for all that is on it. Left and right mirror each other: of features, `x` is the
distance from the middle of the face. `who` and `scene` are the scalars of `anatomy.IDENTITY` and `anatomy.SCENE`,
`move` has how far features are displaced on the pixel's side of the face, `mean` the average of both sides.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxfer.data.synthetic.anatomy import IRIS, Values, hair_colour, shadow_colour, skin_colour, tone
from jaxfer.data.synthetic.shapes import Layer, Pen, box, ellipse, glow

LASH = np.array([0.13, 0.08, 0.08])


def render(who: Values, moves: Values, scene: Values, grain: Array) -> Array:
    """Return the picture of one face.

    Args:
        who: The traits of the person, scalars, as `anatomy.IDENTITY` names them.
        moves: The displacement of each of `expressions.MOVES`, [2], on the image's left and right side.
        scene: The properties of the picture, scalars, as `anatomy.SCENE` names them.
        grain: Standard normal noise, [size, size].

    Returns:
        [3, size, size] in [0, 1], RGB.
    """
    size = len(grain)
    axis = (jnp.arange(size) + 0.5) * (2 / size) - 1
    image_x, image_y = jnp.meshgrid(axis, axis)
    image = _background(image_x, image_y, scene)
    for mask, colour in _layers(image_x, image_y, who, moves, scene):
        # The image below stands here once: twice, and XLA (jax 0.12) doubles the code it compiles with every layer.
        image = image * (1 - mask[None]) + mask[None] * colour[:, None, None]
    cast = jnp.stack([1 + scene["warmth"], 1 + scene["tint"], 1 - scene["warmth"]])
    image = image * (scene["exposure"] * cast)[:, None, None] + scene["noise"] * grain[None]
    return jnp.clip(image, 0, 1)


def _layers(image_x: Array, image_y: Array, who: Values, moves: Values, scene: Values) -> list[Layer]:
    """Return everything in front of the background, bottom first."""
    size = scene["size"]
    # Edges that fade over 1.6 pixels look sharp and show no steps.
    pen = Pen((1.6 / len(image_x) + scene["blur"]) / size)
    cos, sin = jnp.cos(scene["roll"]) / size, jnp.sin(scene["roll"]) / size
    shifted_x, shifted_y = image_x - scene["x"], image_y - scene["y"]
    x, y = shifted_x * cos + shifted_y * sin, shifted_y * cos - shifted_x * sin
    mean = {name: jnp.mean(move) for name, move in moves.items()}
    behind = _head(pen, x, y, who, mean["jaw"], scene)

    x, y = _turn(x, 1.1 * who["head_width"], scene["yaw"]), _turn(y, 1.3, scene["pitch"])
    left, side = x < 0, jnp.abs(x)
    move = {name: jnp.where(left, both[0], both[1]) for name, both in moves.items()}
    return [
        *behind,
        *_cheeks(pen, side, y, who, move),
        *_eyes(pen, side, y, jnp.where(left, -1.0, 1.0), who, move, scene),
        *_brows(pen, side, y, who, move),
        *_nose(pen, side, y, who, mean),
        *_mouth(pen, side, y, who, move, mean),
        *_glasses(pen, side, y, who),
        _foreground(image_x, image_y, scene),
    ]


def _background(x: Array, y: Array, scene: Values) -> Array:
    """Return a gentle gradient of one colour, [3, size, size]."""
    colour = jnp.stack([scene["back_red"], scene["back_green"], scene["back_blue"]])
    muted = 0.5 * (colour + jnp.mean(colour))
    along = x * jnp.cos(scene["back_angle"]) + y * jnp.sin(scene["back_angle"])
    return muted[:, None, None] * (1 + scene["back_change"] * along)[None]


def _foreground(x: Array, y: Array, scene: Values) -> Layer:
    """Return a round object, out of focus, that covers an edge of some pictures."""
    x = x - scene["object_distance"] * jnp.cos(scene["object_angle"])
    y = y - scene["object_distance"] * jnp.sin(scene["object_angle"])
    disc = Pen(jnp.asarray(0.1)).fill(ellipse(x, y, 0.5, 0.5))
    return disc * (scene["object"] < 0.08), scene["object_grey"] * jnp.ones(3)


def _head(pen: Pen, x: Array, y: Array, who: Values, jaw: Array, scene: Values) -> list[Layer]:
    """Return the layers from the hair behind the head to the fringe, bottom first."""
    skin, shadow, mane = skin_colour(who), shadow_colour(who), hair_colour(who)
    cloth = jnp.stack([who["cloth_red"], who["cloth_green"], who["cloth_blue"]])
    width = who["head_width"]
    outline = _skull(x, y, who, jaw)
    behind, fringe = _hair(x, y, who, outline)
    grown = (who["bald"] > 0.08).astype(jnp.float64)
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


def _skull(x: Array, y: Array, who: Values, jaw: Array) -> Array:
    """Return the distance from the outline of the face, whose chin is `jaw` lower than at rest."""
    tapered = x / (1 - who["jaw_taper"] * jnp.clip(y, 0, 1.2) ** 2)
    return ellipse(tapered, y, who["head_width"], jnp.where(y < 0, 1.0, who["chin"] + jaw))


def _hair(x: Array, y: Array, who: Values, outline: Array) -> tuple[Array, Array]:
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


def _turn(along: Array, radius: Array | float, angle: Array) -> Array:
    """Return where a point of a turned ball lies along one axis before the turn: features slide as the head turns."""
    depth = jnp.sqrt(jnp.maximum(0.1 * radius**2, radius**2 - along**2))
    return along * jnp.cos(angle) - depth * jnp.sin(angle)


def _cheeks(pen: Pen, x: Array, y: Array, who: Values, move: Values) -> list[Layer]:
    """Return blush, nasolabial folds, dimples, and the wrinkles of forehead and chin."""
    skin, shadow = skin_colour(who), shadow_colour(who)
    corner_x = who["mouth_width"] + move["corner_x"] + 0.05
    corner_y = who["mouth_y"] + move["corner_y"]
    down = jnp.clip((y - 0.32) / 0.36, 0, 1)
    fold = x - who["nose_width"] - 0.05 - (corner_x - who["nose_width"]) * down * (1.3 - 0.4 * down)
    blush = glow(x - 0.43, y - 0.3 + 0.05 * move["cheek"], 0.26, 0.18) * (who["blush"] + 0.3 * move["cheek"])
    forehead = _ripples(y + 0.56, 0.09, 0.3) * glow(x, y + 0.56, 0.45, 0.14)
    dimple = pen.line(x - corner_x - 0.02 - 1.5 * (y - corner_y) ** 2, 0.018) * pen.fill(jnp.abs(y - corner_y) - 0.08)
    chin = _ripples(y - 0.87 + x * x, 0.1, 0.5) * glow(x, y - 0.87, 0.16, 0.09)
    return [
        (blush, skin * jnp.array([1.0, 0.62, 0.6])),
        (pen.line(fold, 0.016) * glow(fold, y - 0.5, 0.3, 0.2) * jnp.clip(move["fold"], 0, 0.9), shadow),
        (dimple * jnp.clip(move["dimple"], 0, 1), shadow),
        (forehead * 0.5 * jnp.clip(move["forehead"], 0, 1), shadow),
        (chin * 0.5 * jnp.clip(move["chin_boss"], 0, 1), shadow),
    ]


def _eyes(pen: Pen, x: Array, y: Array, right: Array, who: Values, move: Values, scene: Values) -> list[Layer]:
    """Return white, iris, pupil, reflection and lids; `right` is -1 or 1 by the image's side."""
    shadow = shadow_colour(who)
    x, y = x - who["eye_x"], y - who["eye_y"]
    t = x * (1 / who["eye_width"])
    bow = 1 - t * t
    slant = -who["eye_slant"] * t
    top = slant - (who["eye_height"] + move["lid_upper"]) * bow + move["lid_slant"] * t * bow
    bottom = jnp.maximum(slant + (0.6 * who["eye_height"] + move["lid_lower"]) * bow, top + 0.02 * bow)
    opening = pen.between(y, top, bottom)
    within = pen.fill(jnp.abs(x) - 1.02 * who["eye_width"])
    iris_x, iris_y, radius = x - right * scene["gaze_x"], y + 0.02 - scene["gaze_y"], who["iris_size"]
    crow_x = x - who["eye_width"]
    crow = jnp.abs(jnp.abs(y - 0.02) - 0.4 * crow_x) - 0.012
    return [
        (pen.between(y, top - 0.08 * bow, bottom + 0.07 * bow) * 0.35, shadow),
        (opening, jnp.array([0.97, 0.96, 0.95])),
        (opening * pen.fill(ellipse(iris_x, iris_y, radius, radius)), tone(IRIS, who["iris"])),
        (opening * pen.fill(ellipse(iris_x, iris_y, 0.55 * radius, 0.55 * radius)), 0.4 * LASH),
        (opening * pen.fill(ellipse(iris_x + 0.035 * right, iris_y + 0.04, 0.03, 0.03)), jnp.ones(3)),
        (pen.line(y - top, 0.024) * within, LASH),
        (pen.line(y - bottom, 0.008) * within * 0.5, LASH),
        (pen.fill(crow) * glow(crow_x - 0.1, y, 0.1, 0.09) * jnp.clip(move["crow"], 0, 1), shadow),
    ]


def _brows(pen: Pen, x: Array, y: Array, who: Values, move: Values) -> list[Layer]:
    """Return the brows and the frown lines between them."""
    shadow = shadow_colour(who)
    inner, outer = who["eye_x"] - 0.22 + move["brow_gap"], who["eye_x"] + 0.25
    t = (x - inner) / (outer - inner)
    y = y - who["eye_y"] + who["brow_height"]
    ends = move["brow_inner"] * (1 - t) + (0.03 + move["brow_outer"]) * t
    arch = (move["brow_mid"] - 0.5 * (move["brow_inner"] + move["brow_outer"]) - 0.05) * 4 * t * (1 - t)
    thickness = who["brow_thickness"] * (1.2 - 0.5 * t) * jnp.maximum(0, 1 - (2 * t - 1) ** 6)
    frown = pen.line(x - 0.06, 0.014) * glow(x, y - 0.08, 0.3, 0.16)
    return [
        (frown * jnp.clip(move["frown"], 0, 1), shadow),
        (pen.line(y - ends - arch, thickness), 0.6 * hair_colour(who)),
    ]


def _nose(pen: Pen, x: Array, y: Array, who: Values, move: Values) -> list[Layer]:
    """Return bridge, tip, wings, nostrils and the wrinkles across them."""
    skin, shadow = skin_colour(who), shadow_colour(who)
    y = y - who["eye_y"] - who["nose_length"] - move["nose"]
    wing = who["nose_width"] * (1 + 0.2 * move["wrinkle"])
    side = pen.line(ellipse(x - wing * 0.7, y, wing * 0.45, 0.075), 0.01) * pen.fill(wing * 0.8 - x)
    wrinkles = _ripples(y - x * 0.7, 0.085, 0.4) * glow(x, y + 0.28, 0.17, 0.17)
    return [
        (glow(x, y + 0.12, who["nose_width"], 0.3) * 0.35, jnp.clip(skin * 1.2, 0, 1)),
        (glow(x - who["nose_width"] * 0.6, y + 0.16, 0.05, 0.26) * 0.4, shadow),
        (glow(x, y - 0.06, wing * 1.3, 0.07) * 0.7, shadow),
        (pen.fill(ellipse(x - wing * 0.5, y - 0.03, 0.04, 0.026)) * 0.9, shadow * 0.5),
        (side * 0.6, shadow),
        (wrinkles * jnp.clip(move["wrinkle"], 0, 1), shadow),
    ]


def _mouth(pen: Pen, x: Array, y: Array, who: Values, move: Values, mean: Values) -> list[Layer]:
    """Return lips, cavity, tongue, teeth, and the line where closed lips meet."""
    skin, shadow = skin_colour(who), shadow_colour(who)
    t = x / (who["mouth_width"] + move["corner_x"])
    bow = jnp.maximum(0, 1 - t * t)
    part, drop, lift = mean["part"], mean["drop"], mean["lip_raise"]
    opened = jnp.clip((part + drop) * 4, 0, 1)
    round_bow = bow + opened * (jnp.sqrt(bow) - bow)
    middle = who["mouth_y"] + mean["mouth"] - 0.25 * mean["corner_y"]
    seam = middle + (move["corner_y"] - 0.015) * jnp.minimum(t * t, 1.2) - lift * bow
    top, bottom = seam - part * round_bow, seam + (drop + 0.6 * lift * opened) * round_bow
    cupid = 1 - 0.3 * jnp.maximum(0, 1 - (x / 0.07) ** 2)
    upper = jnp.maximum(0.014, who["lip_fullness"] + mean["lip_upper"]) * bow * cupid
    lower = jnp.maximum(0.014, 1.3 * who["lip_fullness"] + mean["lip_lower"]) * bow
    lip = skin * jnp.array([0.84, 0.62, 0.6])
    lip = lip + who["lip_red"] * (jnp.array([0.74, 0.24, 0.26]) * (0.4 + 0.6 * skin) - lip)
    cavity = pen.between(y, top, bottom)
    below = y - middle - drop
    teeth = jnp.clip(0.02 + 0.09 * mean["teeth"], 0, 0.1)
    seam_line = pen.line(y - seam, 0.014) * pen.fill((jnp.abs(t) - 1.03) * 0.3)
    return [
        (glow(x, below - 1.3 * who["lip_fullness"] - 0.09, 0.2, 0.05) * 0.5, shadow),
        (pen.between(y, top - upper, seam + 0.02 * bow), lip * 0.88),
        (pen.between(y, seam - 0.02 * bow, bottom + lower), lip),
        (glow(x, below - 0.05, 0.14, 0.04) * 0.3, jnp.clip(lip * 1.5, 0, 1)),
        (cavity, jnp.array([0.28, 0.06, 0.08])),
        (cavity * pen.fill(ellipse(x, below - 0.03, 0.17, 0.09)), jnp.array([0.8, 0.36, 0.38])),
        (cavity * pen.fill(y - top - teeth), jnp.array([0.97, 0.96, 0.93])),
        (seam_line * (1 - opened), shadow * 0.5),
    ]


def _glasses(pen: Pen, x: Array, y: Array, who: Values) -> list[Layer]:
    """Return the frames and lenses that some people wear; a few lenses are dark."""
    x, y = x - who["eye_x"], y - who["eye_y"] - 0.03
    lens = box(x, y, 0.28, 0.22, 0.16)
    bridge = pen.line(y + 0.05, 0.02) * pen.fill(x + 0.27)
    worn, dark = who["glasses"] < 0.14, who["glasses"] < 0.015
    frame = jnp.maximum(pen.line(lens, 0.022), bridge)
    return [(pen.fill(lens) * dark * 0.85, 0.5 * LASH), (frame * worn, LASH + 0.25 * (who["glasses"] > 0.08))]


def _ripples(along: Array, period: float, share: float) -> Array:
    """Return parallel wrinkles, 1 on their crests, that take up `share` of each period."""
    return jnp.clip((jnp.abs(jnp.sin(jnp.pi / period * along)) - 1 + share) / share, 0, 1)
