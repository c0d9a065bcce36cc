"""FER2013 with its own labels, and with those of FER+."""

from jaxfer.data.layouts.fer2013.fer_plus import LAYOUT as FER_PLUS
from jaxfer.data.layouts.fer2013.reader import LAYOUT as FER2013

__all__ = ["FER2013", "FER_PLUS"]
