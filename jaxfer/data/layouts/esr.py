"""AffectNet as the loaders of ESR (Siqueira et al., 2020) and OpenDR prepare it: labels in the names of cropped faces.

    {Training_Labeled,Training_Unlabeled,Validation}/<k>/<id>_<emotion>_<1000 valence>_<1000 arousal>.jpg

Folders k hold 500 files each and mean nothing. OpenDR writes `s` in place of `_`. Emotions are AffectNet's codes, and
-2000 marks valence or arousal as invalid. Training_Unlabeled holds the automatically annotated faces, which its
authors use without labels; they are left out.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import jaxfer.data.reading.affectnet_values as values
from jaxfer.data.reading.folder import Folder, images, is_image, other_files, peek, tree
from jaxfer.data.reading.names import refuse_misspelled
from jaxfer.data.reading.record import NOT_IMAGE, UNLABELLED, Layout, Match, ReadOptions, Record, Split, astray

UNUSED = "Training_Unlabeled"
"""The folder whose faces are left out."""

SPLITS: dict[str, Split] = {"Validation": "val", "Training_Labeled": "train", UNUSED: "train"}

PEEKED = 8
"""How many of a split's folders are looked into to tell the layout."""

NAME = re.compile(
    r".+(_|s)(?P<emotion>-?[0-9]{1,2})\1(?P<valence>-?[0-9]{1,6})\1(?P<arousal>-?[0-9]{1,6})", flags=re.DOTALL
)
"""A file's name without its suffix."""


def _find(folder: Folder) -> list[Match]:
    present = [name for name in SPLITS if name in folder.folders]
    # Validation alone could be anything.
    if present in ([], ["Validation"]):
        return []
    example = next((name for split in present for name in _peek(folder.path / split)), "")
    if not example:
        return []
    return [Match(folder.path, f"has {' and '.join(present)} with labels in the names of files, such as {example}")]


def _peek(split: Path) -> Iterator[str]:
    """Yield names of images in a split that carry a label, from the first of its folders where most do."""
    for name in peek(split).folders[:PEEKED]:
        found = [file for file in peek(split / name).files if is_image(file)]
        fitting = [file for file in found if NAME.fullmatch(Path(file).stem)]
        if 2 * len(fitting) > len(found):
            yield from fitting


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    within, codes = options.within(place), values.ExpressionCodes()
    refuse_misspelled(peek(place, None, within))
    read: set[Path] = set()
    for split_name in SPLITS:
        if (place / split_name).is_dir():
            for folder in tree(place / split_name, within):
                read.add(folder)
                for path in other_files(folder, within):
                    yield Record(name=path.relative_to(place).as_posix(), image=path, split=None, left_out=NOT_IMAGE)
                for path, link in images(folder, within):
                    if parts := NAME.fullmatch(path.stem):
                        codes.add_text(parts["emotion"], f"the name of {path}")
                    yield _record(path, place, split_name, link)
    codes.refuse_other_count()
    yield from astray(place, within, read, detail="only those in Validation and Training_Labeled are read")


def _record(path: Path, place: Path, split_name: str, link: str) -> Record:
    parts = NAME.fullmatch(path.stem)
    label, reason, detail = ("", link, "") if link else _expression(parts, split_name)
    valence, arousal, remarks = _affect(parts) if parts and label else (math.nan, math.nan, ())
    return Record(
        name=path.relative_to(place).as_posix(),
        image=path,
        split=SPLITS[split_name],
        split_name=split_name,
        label=label,
        left_out=reason,
        detail=detail,
        valence=valence,
        arousal=arousal,
        remarks=remarks,
    )


def _expression(parts: re.Match[str] | None, split_name: str) -> tuple[str, str, str]:
    """Return the class that a name gives, or "", then the reason to leave its face out and the detail, or "" twice."""
    if split_name == UNUSED:
        return "", UNLABELLED, f"{UNUSED} is used without labels"
    if not parts:
        return "", UNLABELLED, "its name does not end in emotion, valence and arousal"
    return values.expression(parts["emotion"])


def _affect(parts: re.Match[str]) -> tuple[float, float, values.Remarks]:
    valence, odd_valence = values.affect("valence", str(int(parts["valence"]) / 1000))
    arousal, odd_arousal = values.affect("arousal", str(int(parts["arousal"]) / 1000))
    return valence, arousal, odd_valence + odd_arousal


LAYOUT = Layout(
    "ESR or OpenDR",
    "Training_Labeled and Validation, with images called <id>_<emotion>_<1000 valence>_<1000 arousal>",
    _find,
    _read,
)
