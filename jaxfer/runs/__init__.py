"""The folder of a run: its configuration, its rows, its checkpoints, and the network read back from them."""

from jaxfer.runs.folder import RunFolder, read_config, read_rows
from jaxfer.runs.load import Trained, load_run

__all__ = ["RunFolder", "Trained", "load_run", "read_config", "read_rows"]
