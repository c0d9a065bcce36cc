"""`jaxfer data`: what is wrong with a folder of faces, and preparing it once."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from jaxfer.config import Decoder, PrepareConfig
from jaxfer.emotions import LabelOrder
from jaxfer.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Check:
    """Say what is in a folder of labelled faces and what is wrong with it.

    jaxfer data check ~/AffectNet --html check.html
    """

    data_dir: tyro.conf.Positional[Path]
    """Folder (or file) with the labelled faces; its layout is detected."""
    val_dir: Path | None = None
    """Folder (or file) of the validation split, of any layout, where it does not lie with the rest of the data."""
    test_dir: Path | None = None
    """Likewise, of the test split."""
    class_names: tuple[str, ...] = ()
    """What the data's own words for classes mean, as suprise=surprise,sleepy=none; none leaves faces out."""
    label_order: LabelOrder | None = None
    """What digits in folder names mean; needed for digit folders only."""
    table: Path | None = None
    """Table (csv) with a column of images and one of labels; None looks for one, and for all other layouts."""
    image_column: str | None = None
    """Name of the column of images in the table, or its number from 1; by default a usual one, as path or image."""
    label_column: str | None = None
    """Name of the column of labels in the table, or its number from 1; by default a usual one, as emotion."""
    follow_links: bool = False
    """Follow symbolic links out of the data's folder, such as into the cache of Hugging Face or git-annex."""
    decoder: Decoder = "pillow"
    """What decodes JPEG files: pillow, or simplejpeg, which takes less time and comes with
    `jaxfer[jpeg]`."""
    json: Path | None = None
    """File for all findings, with the paths."""
    html: Path | None = None
    """File for a page with tables and contact sheets of the worst offenders."""

    def run(self) -> None:
        """Check, print, and write what was asked for.

        Raises:
            UserError: The data cannot be read, or none of its images can be used, or what was asked for cannot be
                written.
        """
        from jaxfer.data.checking import check
        from jaxfer.data.reading.folder import LINK
        from jaxfer.files import check_writable, write
        from jaxfer.reports import images_bar, print_check, write_check

        for path in filter(None, (self.json, self.html)):  # now, and not after the work
            if path.is_dir() or not path.parent.is_dir():
                what = "it is a folder" if path.is_dir() else f"{path.parent} is no folder"
                raise UserError(f"{path} cannot be written: {what}")
            check_writable(path.parent, "pass another place")
        found = check(
            self.data_dir,
            label_order=self.label_order,
            class_names=self.class_names,
            table=self.table,
            image_column=self.image_column,
            label_column=self.label_column,
            follow_links=self.follow_links,
            val_dir=self.val_dir,
            test_dir=self.test_dir,
            decoder=self.decoder,
            watch=images_bar,
        )
        print_check(found)
        if self.json is not None:
            write(json.dumps(found.to_dict(), indent=1) + "\n", self.json)
            print(f"All findings: {self.json}")
        if self.html is not None:
            write_check(found, self.html)
            print(f"Page: {self.html}")
        if not found.images:
            reasons = Counter(problem.reason for problems in found.problems.values() for problem in problems)
            why = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(3))
            remedy = "; have them followed (--follow-links) if it is meant so" if LINK in reasons else ""
            raise UserError(f"no image of {found.place} can be used: {why or 'there is none'}{remedy}")


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """Crop, resize and store a folder of labelled faces once, as a tfds data set.

    jaxfer data prepare ~/AffectNet --out ~/affectnet-64
    """

    data_dir: tyro.conf.Positional[Path]
    """Folder (or file) with the labelled faces; its layout is detected."""
    out: Path
    """Folder for the prepared data set."""
    beam_pipeline_options: str = ""
    """Have Apache Beam prepare it, with these options, as runner=DirectRunner,direct_num_workers=2 (jaxfer[beam])."""
    config: tyro.conf.OmitArgPrefixes[PrepareConfig] = field(default_factory=PrepareConfig)

    def run(self) -> None:
        """Prepare, and print what went in and came out."""
        from jaxfer.data.prepared import prepare
        from jaxfer.reports import images_bar, print_prepared

        flags = [f"--{option}" for option in self.beam_pipeline_options.split(",") if option]
        print_prepared(prepare(self.data_dir, self.out, self.config, watch=images_bar, beam_options=flags or None))


@dataclass(frozen=True, kw_only=True)
class Data:
    """Look at labelled faces, and prepare them for training."""

    verb: Annotated[Check, tyro.conf.subcommand("check")] | Annotated[Prepare, tyro.conf.subcommand("prepare")]

    def run(self) -> None:
        """Do what was asked."""
        self.verb.run()
