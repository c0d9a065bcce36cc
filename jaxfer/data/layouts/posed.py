"""Sets of posed faces whose labels are in the names of the files: JAFFE and KDEF.

    jaffe/KA.AN1.39.tiff            person KA, angry for the first time
    KDEF/AF01/AF01ANS.JPG           first session, woman 01, angry, seen straight on

Files lie in one folder, or in one for each person, which is named as they begin. All is training data but for what lies
in a folder below that is named after another split.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from jaxfer.data.reading.folder import Folder, Reach, images, is_image, other_files, peek, tree
from jaxfer.data.reading.names import refuse_misspelled, split_named
from jaxfer.data.reading.record import NOT_IMAGE, UNLABELLED, Layout, Match, ReadOptions, Record, by_split

PEEKED = 8
"""How many folders of persons are looked into to tell the layout."""

CODES = {
    "AF": "fear",
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happy",
    "NE": "neutral",
    "SA": "sad",
    "SU": "surprise",
}
"""What two letters mean: KDEF has AF, afraid, and JAFFE FE in its place."""

JAFFE_NAME = re.compile(r"[A-Z]{2}\.(AN|DI|FE|HA|NE|SA|SU)[0-9]\.[0-9]{1,3}", flags=re.IGNORECASE)
"""Person, expression and which of it, running number. https://zenodo.org/records/3451524"""

KDEF_NAME = re.compile(r"[AB][FM][0-9]{2}(AF|AN|DI|HA|NE|SA|SU)(?:FL|HL|S|HR|FR)", flags=re.IGNORECASE)
"""Session, gender, person, expression, and from where. https://www.kdef.se"""


def _find(folder: Folder, *, form: re.Pattern[str]) -> list[Match]:
    found = [name for name in folder.files if is_image(name)]
    for name in folder.folders[:PEEKED]:
        inside = [file for file in peek(folder.path / name).files if is_image(file)]
        # Else it may be the folder of a class, or of a split, with such files in it.
        found += [f"{name}/{file}" for file in inside if file.lower().startswith(name.lower())]
    fitting = [name for name in found if form.fullmatch(Path(name).stem)]
    if 2 * len(fitting) <= len(found):
        return []
    return [Match(folder.path, f"has images whose names say the expression, such as {fitting[0]}")]


def _read(place: Path, options: ReadOptions, *, form: re.Pattern[str]) -> Iterator[Record]:
    within = options.within(place)
    refuse_misspelled(peek(place, None, within))
    yield from by_split(_records(place, within, form))


def _records(place: Path, within: Reach, form: re.Pattern[str]) -> Iterator[Record]:
    for folder in tree(place, within):
        said = next(filter(split_named, folder.relative_to(place).parts), "train")
        for path in other_files(folder, within):
            yield Record(name=path.relative_to(place).as_posix(), image=path, split=None, left_out=NOT_IMAGE)
        for path, link in images(folder, within):
            parts = form.fullmatch(path.stem)
            label = CODES[parts[1].upper()] if parts and not link else ""
            yield Record(
                name=path.relative_to(place).as_posix(),
                image=path,
                split=split_named(said),
                split_name=said,
                label=label,
                left_out=link or ("" if label else UNLABELLED),
                detail="" if link or label else "its name says no expression",
            )


def _layout(name: str, example: str, form: re.Pattern[str]) -> Layout:
    looks_like = f"images named as {example}, or folders of persons with such images"
    return Layout(name, looks_like, partial(_find, form=form), partial(_read, form=form))


JAFFE = _layout("JAFFE", "KA.AN1.39.tiff", JAFFE_NAME)

KDEF = _layout("KDEF", "AF01ANS.JPG", KDEF_NAME)
