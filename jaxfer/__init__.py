"""jaxfer: facial-expression recognition in JAX, from the archive on disk to a number you can defend."""

__version__ = "0.1.0"
