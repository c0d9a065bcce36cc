"""Using a trained network: the folder that people share, and the network read back from it."""

from jaxfer.inference.model import FaceModel, load_model, save_model

__all__ = ["FaceModel", "load_model", "save_model"]
