"""Using a trained network: photographs and videos in, faces and expressions out; the folder in which people share it.

Each name is imported when it is first asked for: whoever loads a network alone needs neither Pillow nor a detector.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxfer.inference.export import export_model
    from jaxfer.inference.faces import Detection, Detector, find_faces
    from jaxfer.inference.framing import Frame, Framing, measure_framing
    from jaxfer.inference.model import FaceModel, load_model, save_model
    from jaxfer.inference.predictor import Face, Photograph, Predictor
    from jaxfer.inference.video import UnreadableVideo, Video, VideoFrame, watch

__all__ = [
    "Detection",
    "Detector",
    "Face",
    "FaceModel",
    "Frame",
    "Framing",
    "Photograph",
    "Predictor",
    "UnreadableVideo",
    "Video",
    "VideoFrame",
    "export_model",
    "find_faces",
    "load_model",
    "measure_framing",
    "save_model",
    "watch",
]

_PLACES = {
    "export": ("export_model",),
    "faces": ("Detection", "Detector", "find_faces"),
    "framing": ("Frame", "Framing", "measure_framing"),
    "model": ("FaceModel", "load_model", "save_model"),
    "predictor": ("Face", "Photograph", "Predictor"),
    "video": ("UnreadableVideo", "Video", "VideoFrame", "watch"),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"jaxfer.inference.{_PLACE_OF[name]}"), name)
