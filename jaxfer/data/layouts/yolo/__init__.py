"""Faces in the YOLO format: a text file of boxes for each image."""

from jaxfer.data.layouts.yolo.reader import LAYOUT

__all__ = ["LAYOUT"]
