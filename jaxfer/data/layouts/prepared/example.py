"""One face of a prepared data set, and its form in a file: a `tf.Example`, which tfds reads without TensorFlow."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from tensorflow_datasets.proto import tf_example_pb2

from jaxfer.emotions import AFFECTNET_8

POINTS = 68
"""How many landmarks a face has."""

_EXAMPLE: Any = tf_example_pb2.Example  # type: ignore[attr-defined]  # protobuf makes it when it is imported
_NO_LANDMARKS = (math.nan,) * (2 * POINTS)
_NO_VOTES = (math.nan,) * len(AFFECTNET_8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One prepared face.

    Attributes:
        image: The bytes of its pixels, uint8 [size, size, 3], RGB.
        label: Index into the data set's classes.
        name: The record's name in the raw data.
        valence: In [-1, 1], NaN where there is none.
        arousal: Likewise.
        landmarks: float [68, 2], x and y in pixels of the prepared image; None where there are none.
        votes: One number for each of `AFFECTNET_8`; None where there are none.
    """

    image: bytes
    label: int
    name: str
    valence: float = math.nan
    arousal: float = math.nan
    landmarks: np.ndarray | None = None
    votes: tuple[float, ...] | None = None


def to_record(face: Example) -> bytes:
    """Return the face as the bytes that tfds' own serializer would write, which takes longer than resizing an image.

    Names are UTF-8; bytes of a file's name that are not stay as they are. What a face lacks is NaN. Equal faces give
    equal bytes: protobuf would put the features into an order that changes from process to process.
    """
    landmarks = _NO_LANDMARKS if face.landmarks is None else face.landmarks.ravel().tolist()
    example = _EXAMPLE()
    feature = example.features.feature
    feature["image"].bytes_list.value.append(face.image)
    feature["label"].int64_list.value.append(face.label)
    feature["name"].bytes_list.value.append(face.name.encode(errors="surrogateescape"))
    feature["valence"].float_list.value.append(face.valence)
    feature["arousal"].float_list.value.append(face.arousal)
    feature["landmarks"].float_list.value.extend(landmarks)
    feature["votes"].float_list.value.extend(face.votes or _NO_VOTES)
    return example.SerializeToString(deterministic=True)


def image_of(record: bytes) -> bytes:
    """Return the image alone of what `to_record` wrote: the bytes of its pixels.

    Raises:
        ValueError: The bytes are no such record.
    """
    try:
        return _EXAMPLE.FromString(record).features.feature["image"].bytes_list.value[0]
    except Exception as error:  # protobuf's DecodeError is its own in each of its implementations
        raise ValueError(f"it is no prepared face ({error})") from error


def from_record(record: bytes, *, landmarks: bool = False) -> Example:
    """Return the face that `to_record` wrote; its landmarks only where they are asked for.

    Raises:
        ValueError: The bytes are no such record.
    """
    try:
        feature = _EXAMPLE.FromString(record).features.feature
        points = np.array(feature["landmarks"].float_list.value, np.float32) if landmarks else np.full(2, np.nan)
        votes = tuple(feature["votes"].float_list.value)
        return Example(
            image=feature["image"].bytes_list.value[0],
            label=feature["label"].int64_list.value[0],
            name=feature["name"].bytes_list.value[0].decode(errors="surrogateescape"),
            valence=feature["valence"].float_list.value[0],
            arousal=feature["arousal"].float_list.value[0],
            landmarks=None if np.isnan(points).all() else points.reshape(POINTS, 2),
            votes=None if any(map(math.isnan, votes)) else votes,
        )
    except Exception as error:  # protobuf's DecodeError is its own in each of its implementations
        raise ValueError(f"it is no prepared face ({error})") from error
