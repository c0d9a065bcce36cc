"""FER2013 with its own labels, and with those of FER+, in its own files and in folders."""

from jaxfer.data.layouts.fer2013.fer_plus import LAYOUT as FER_PLUS
from jaxfer.data.layouts.fer2013.fer_plus_folders import LAYOUT as FER_PLUS_FOLDERS
from jaxfer.data.layouts.fer2013.reader import LAYOUT as FER2013

__all__ = ["FER2013", "FER_PLUS", "FER_PLUS_FOLDERS"]
