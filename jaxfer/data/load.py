"""Load a data set: drawn, or from the disk."""

from jaxfer.config import DataConfig
from jaxfer.data.dataset import Dataset


def load(config: DataConfig, *, keep: bool = True) -> Dataset:
    """Return the training and validation faces that `config` asks for.

    Without a `data_dir`, drawn faces. Where the data has no validation split, the share `val_fraction` of each class
    of its training split is held out instead: the same images wherever the data lies and in whatever order its files
    are listed. A test split is never decoded, and so can be neither trained on nor selected on.

    The images are one uint8 array a split, decoded once, kept in a hidden folder `.jaxfer` beside the data and mapped
    into memory from there, so that the next call takes no time and processes share one copy; where nothing can be
    written beside the data, the array is in memory alone. With `config.stream`, images are decoded whenever a batch
    asks for them. Batches are the same either way.

    keep: whether to keep what is decoded; without, nothing is written beside the data, and what was kept is used.

    Raises `UserError` where `jaxfer.data.layouts.detect` and `jaxfer.data.selection.check` do, for data that a
    layout cannot read, and for images that do not fit into memory.
    """
    # Imported here, since the rest of the library does without the libraries that reading takes.
    if config.data_dir is None:
        from jaxfer.data.synthetic import drawn_dataset

        return drawn_dataset(config)
    from jaxfer.data.from_disk import load_from_disk

    return load_from_disk(config.data_dir, config, keep=keep)
