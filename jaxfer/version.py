"""The version of jaxfer, below all that writes it into its files."""

__version__ = "0.1.0"
