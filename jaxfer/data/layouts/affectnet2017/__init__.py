"""AffectNet's first release: photographs, and csv lists of the faces in them."""

from jaxfer.data.layouts.affectnet2017.reader import LAYOUT

__all__ = ["LAYOUT"]
