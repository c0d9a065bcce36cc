"""Following faces from picture to picture, and the mean over time of what the network says of each."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jaxfer.inference.predictor import Face

GAP = 1.0
"""Seconds for which a face may be out of sight, and be the same one after."""

REACH = 1.0
"""How far from where it is expected a face may be, in sides of its box, and how much further after `GAP`."""

GROWTH = 2.0
"""How many times larger or smaller it may be than when it was last seen."""

STEADY = 0.25
"""Time constant, in seconds, of the mean by which a face's speed is known."""

_FAR = 1e6
"""What it costs to take faces for one that cannot be: more than any number of others together."""


@dataclass
class _Track:
    """A person in a video.

    Attributes:
        number: Counted from 1, in the order of appearance.
        place: Middle of the face's box, in pixels.
        side: Square root of the box's area, in pixels.
        time: When it was last seen, in seconds.
        values: The mean of its probabilities, valence and arousal.
        speed: Pixels a second; None before it was seen twice.
    """

    number: int
    place: np.ndarray
    side: float
    time: float
    values: np.ndarray = field(repr=False)
    speed: np.ndarray | None = None

    def expected(self, time: float) -> np.ndarray:
        """Return where its middle will be if it goes on as it went."""
        return self.place if self.speed is None else self.place + self.speed * min(time - self.time, GAP)


class Tracks:
    """Gives each face the number of its person, and what the network says of it as a mean over time.

    A face is the one that was expected nearest to its place at a similar size; all faces of a picture are told apart
    at once, so that the sum of the distances is the least (the Hungarian algorithm). Of what was said x at the times t,
    the mean is m(t_0) = x_0 and m(t_i) = m(t_{i-1}) + (1 - exp(-(t_i - t_{i-1}) / smooth)) (x_i - m(t_{i-1})).

    Args:
        smooth: The time constant of the mean in seconds; 0 leaves what is said of each picture as it is.
    """

    def __init__(self, smooth: float) -> None:
        self._smooth = smooth
        self._tracks: list[_Track] = []
        self._before = -math.inf
        self._count = 0

    def follow(self, faces: Sequence[Face], time: float) -> tuple[Face, ...]:
        """Return the faces of the next picture, in their order, with tracks and means.

        Args:
            faces: As the predictor returned them.
            time: When it was taken, in seconds; not before the picture before.
        """
        # Whoever was in the picture before is followed however long ago that was.
        self._tracks = [one for one in self._tracks if one.time == self._before or time - one.time <= GAP]
        self._before = time
        places = [_place(face) for face in faces]
        known = self._assigned(places, time)
        return tuple(
            self._seen(face, *place, time, known.get(i))
            for i, (face, place) in enumerate(zip(faces, places, strict=True))
        )

    def _assigned(self, places: Sequence[tuple[np.ndarray, float]], time: float) -> dict[int, _Track]:
        """Return the track of each face that has one, by the face's index."""
        if not places or not self._tracks:
            return {}
        middles, sides = np.stack([place for place, _ in places]), np.array([side for _, side in places])
        expected = np.stack([one.expected(time) for one in self._tracks])
        before = np.array([one.side for one in self._tracks])
        passed = np.array([min(time - one.time, GAP) for one in self._tracks])
        distance = np.linalg.norm(middles[None] - expected[:, None], axis=2)  # [tracks, faces]
        distance /= np.sqrt(before[:, None] * sides[None]) * (1 + passed[:, None] / GAP)
        growth = np.abs(np.log(sides[None] / before[:, None]))
        can_be = (distance <= REACH) & (growth <= math.log(GROWTH))
        from scipy.optimize import linear_sum_assignment  # takes long to import, and photographs need none

        tracks, found = linear_sum_assignment(np.where(can_be, distance + growth, _FAR))
        return {int(i): self._tracks[k] for k, i in zip(tracks, found, strict=True) if can_be[k, i]}

    def _seen(self, face: Face, place: np.ndarray, side: float, time: float, track: _Track | None) -> Face:
        """Return a face with its track, which is told of it."""
        affect = [math.nan if value is None else value for value in (face.valence, face.arousal)]
        values = np.array([*face.probabilities.values(), *affect])
        if track is None:
            self._count += 1
            track = _Track(self._count, place, side, time, values)
            self._tracks.append(track)
        else:
            passed = time - track.time
            if passed > 0:
                speed = (place - track.place) / passed
                known = speed if track.speed is None else track.speed
                track.speed = known + _weight(passed, STEADY) * (speed - known)
            track.values = track.values + _weight(passed, self._smooth) * (values - track.values)
            track.place, track.side, track.time = place, side, time
        *shares, valence, arousal = track.values.tolist()
        names = tuple(face.probabilities)
        return dataclasses.replace(
            face,
            track=track.number,
            label=names[int(np.argmax(shares))],
            probabilities=dict(zip(names, shares, strict=True)),
            valence=None if math.isnan(valence) else valence,
            arousal=None if math.isnan(arousal) else arousal,
        )


def _place(face: Face) -> tuple[np.ndarray, float]:
    """Return the middle and the side of a face."""
    left, top, width, height = face.box
    return np.array([left + width / 2, top + height / 2]), math.sqrt(max(width * height, 1e-6))


def _weight(passed: float, constant: float) -> float:
    """Return how much of an exponential mean is what is new, so many seconds after the last."""
    return -math.expm1(-passed / constant) if constant else 1.0
