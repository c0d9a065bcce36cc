"""A prepared data set in the terminal: what came out, what was left out, and how to read it."""

from rich.console import Console
from rich.table import Table

from jaxfer.data.prepared.ledger import DUPLICATE, LEAK
from jaxfer.data.prepared.run import Prepared

MEANINGS = {
    LEAK: "training images that are exact copies of validation or test images",
    DUPLICATE: "exact copies of earlier images of the same split",
}
"""Reasons to leave out an image that say too little by themselves."""


def print_prepared(prepared: Prepared) -> None:
    """Print the number of images of each class and split, and of those left out for each reason."""
    metadata = prepared.metadata
    console = Console(highlight=False, soft_wrap=True)
    source = metadata["source"]
    console.print(f"{source['name']} ({source['layout']}) is prepared in {prepared.path}", markup=False)
    console.print(_splits(prepared), soft_wrap=False)
    for reason, found in metadata["left_out"].items():
        console.print(f"left out: {found['images']:,} {MEANINGS.get(reason, reason)}", markup=False)
    for split, counts in metadata["splits"].items():
        copies = [f"{count:,} of {other}" for other, count in counts["copies_of"].items() if count and other != split]
        if copies and not (split == "train" and LEAK in metadata["left_out"]):
            console.print(f"kept, in {split}: exact copies of other splits' images, {', '.join(copies)}", markup=False)
    console.print(f"All of it, with names: {prepared.path / 'metadata.json'}", markup=False)
    out = prepared.path.parents[2]
    console.print(f'tfds reads it by tfds.data_source("{prepared.name}", data_dir="{out}")', markup=False)


def _splits(prepared: Prepared) -> Table:
    splits = prepared.metadata["splits"]
    total = sum(split["images"] for split in splits.values())
    table = Table(title=f"{total:,} images", title_justify="left")
    table.add_column("class")
    for name in splits:
        table.add_column(name, justify="right")
    for label in prepared.metadata["class_names"]:
        table.add_row(label, *(f"{split['classes'][label]:,}" for split in splits.values()))
    table.add_row("all", *(f"{split['images']:,}" for split in splits.values()), style="bold")
    return table
