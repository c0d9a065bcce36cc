"""Write docs/affectnet.md: for each layout that people hold, the commands, run on a small copy, and what they print.

python docs/make_affectnet.py
"""

import os
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests"))

from formats import FORMATS  # noqa: E402

PER_CLASS = 3
COLUMNS = 110
WIDTH = 120


@dataclass(frozen=True)
class Section:
    """A layout: the heading, what its folder holds, what one has to know, and the copy of it that tests write."""

    title: str
    tree: str
    text: str
    format_name: str
    flags: str = ""


INTRODUCTION = """# Bring your AffectNet

<!-- written by docs/make_affectnet.py: every command below was run, and printed what stands beneath it -->

AffectNet comes in many layouts, and most numbers that cannot be reproduced went wrong here: in the order of the labels, in
copies of validation images among the training images, or in a small copy taken for the release. Three commands take you
from any of these layouts to a trained network:

```
jaxfer data check DIR --html check.html           # what is in the folder, and what is wrong with it
jaxfer data prepare DIR --out PREPARED            # cropped, resized and stored once, without copies across splits
jaxfer train --data-dir PREPARED --preset published
```

`--data-dir DIR` works on the raw folder too; preparing it first is faster from the second run on, removes training images
that are exact copies of validation images, and cuts faces out of photographs only once. Neither command changes `DIR`.

Find your folder in this list. The outputs come from copies of a few images a class, in the true format, so
every count is far below the published one, and `jaxfer` says so.

{contents}
"""

SECTIONS = [
    Section(
        "The 2017 release: photographs and lists",
        """Manually_Annotated_file_lists/training.csv, validation.csv
Manually_Annotated_Images/<1..1053>/<hash>.jpg
Automatically_Annotated_file_lists/automatically_annotated.csv
Automatically_Annotated_Images/...""",
        "Pass the folder that holds both the lists and the images, whatever they are called and however deep they lie: "
        "they are found by their content. Faces are cut out by the lists' boxes, and `--margin 0.1` keeps a tenth of the "
        "box's side around them. The automatically annotated part is not what published accuracies are measured on; to "
        "read it, move its list and its images into a folder of their own and pass that. Rows of none, uncertain and no face (codes 8 to 10) are left out and counted.",
        "AffectNet 2017",
    ),
    Section(
        "The release of March 2021: train_set and val_set",
        """train_set/images/<N>.jpg
train_set/annotations/<N>_exp.npy, <N>_val.npy, <N>_aro.npy, <N>_lnd.npy
val_set/...""",
        "Cropped to 224 pixels already. Complete, it has 287,651 training and 3,999 validation images of eight classes.",
        "AffectNet 2021",
    ),
    Section(
        "One flat folder, split and class in the names (Kaggle: ngothienphu/affectnet)",
        "train_..._<class>_....jpg\nval_..._<class>_....jpg",
        "The copy that the published 50-epoch experiment was trained on. No document states its order of labels; "
        "AffectNet's order plus one was inferred from its results.",
        "flat folder",
    ),
    Section(
        "Word folders with labels.csv (Kaggle: noamsegal/affectnet-training-data)",
        "labels.csv          ,pth,label,relFCs\nanger/image0000006.jpg\n...",
        "Folder and csv can disagree about a face: the csv counts, and `check` lists these faces under conflicting labels. "
        "There is no validation split, so training holds a tenth of each class out. Other tables are read likewise: "
        "[tables of images and labels](data.md#tables-of-images-and-labels).",
        "labels.csv",
    ),
    Section(
        "Word folders in splits (Kaggle: mstjebashazida/affectnet, dollyprajapati182/balanced-affectnet)",
        "archive (3)/Train/<word>/...\narchive (3)/Test/<word>/...",
        "Any common spelling and capitalisation. `Test` is never trained or selected on: without a validation split, a "
        "tenth of each class of the training images is held out, copies and persons on one side.",
        "word folders",
    ),
    Section(
        "Digit folders (Kaggle: yakhyokhuja/affectnetaligned, thienkhonghoc/affectnet, most research code)",
        "train/0/...\nvalid/6/...",
        "Digits carry no order of their own: say which it is. Look at a few images of `3` in each: surprise "
        "(`affectnet`), fear with eight and happy with seven classes (`alphabetical`), or happy (`fer2013`).",
        "digit folders",
        "--label-order affectnet",
    ),
    Section(
        "YOLO (Kaggle: fatihkgg/affectnet-yolo-format)",
        "YOLO_format/data.yaml\nYOLO_format/{train,valid,test}/images/<name>.jpg\nYOLO_format/{train,valid,test}/labels/<name>.txt",
        "Classes are those that `data.yaml` names; faces are cut out by their boxes.",
        "YOLO",
    ),
    Section(
        "ESR and OpenDR",
        "Training_Labeled/<k>/<id>_<emotion>_<1000 valence>_<1000 arousal>.jpg\nTraining_Unlabeled/...\nValidation/...",
        "Labels, valence and arousal come from the file names; `<k>` means nothing. `Training_Unlabeled` is left out.",
        "ESR",
    ),
    Section(
        "Parquet, as Hugging Face exports it",
        "data/train-00000-of-00002.parquet\ndata/validation-00000-of-00001.parquet",
        "Needs pyarrow: `pip install 'jaxfer[parquet]'`. Class names are read from the file's own schema.",
        "parquet",
    ),
    Section(
        "RAF-DB",
        "basic/EmoLabel/list_patition_label.txt\nbasic/Image/aligned/train_00001_aligned.jpg",
        "Classes 1 to 7 are surprise, fear, disgust, happiness, sadness, anger, neutral. A list that counts from "
        "0, or whose lines all have further values, is refused; a list alone, under any name, is read by `--table`. Its test split is for the "
        "final score: training holds a tenth of each class out instead.",
        "RAF-DB",
    ),
    Section(
        "ExpW",
        "label/label.lst         angry_actor_104.jpg 0 28 113 226 141 22.9362 0\nimage/origin/<photograph>",
        "Each line is a face; faces are cut out by their boxes. There are no splits, so training holds a tenth of each "
        "class out.",
        "ExpW",
    ),
    Section(
        "FER2013",
        "fer2013.csv, icml_face_data.csv or fer2013.npz",
        "PublicTest is the validation split. PrivateTest is never trained or selected on.",
        "FER2013 csv",
    ),
    Section(
        "FER2013 with the votes of FER+",
        "fer2013.csv\nfer2013new.csv",
        "Labels are FER+'s majority. With `--soft-labels`, networks learn the distribution of the votes.",
        "FER+",
    ),
    Section(
        "FER+ in folders, as its authors' script writes it",
        "FER2013Train/fer0000000.png, label.csv\nFER2013Valid/...\nFER2013Test/...",
        "The same votes beside the images, with boxes or without. FER2013Valid is the validation split, and FER2013Test is "
        "never trained or selected on.",
        "FER+ folders",
    ),
    Section(
        "JAFFE",
        "jaffe/KA.AN1.39.tiff",
        "Labels are in the names of the files. All images are training data, of which a tenth of each class is held out.",
        "JAFFE",
    ),
    Section(
        "KDEF",
        "KDEF/AF01/AF01ANS.JPG",
        "Labels are in the names of the files (`AF` is afraid), whether these lie in folders of persons or in one. Faces are "
        "read from all five angles.",
        "KDEF",
    ),
]

ENDING = """
## When two layouts fit, or none

`jaxfer` never guesses. A folder with several data sets is refused with the list of what was found where; a folder that
fits nothing, with what was looked for. Pass the path of the part you mean.

Where training, validation and test images lie in folders that do not belong together, or one of them has a name that says no split,
pass each: `--data-dir TRAIN --val-dir VALIDATION --test-dir TEST`, see
[Splits in folders of their own](data.md#splits-in-folders-of-their-own). Where the images are links into a store beside the folder, as those of
Hugging Face's cache and of git-annex are, pass the folder that holds both, or `--follow-links`, see [Links](data.md#links).

## What prepare keeps, and what it leaves out

`PREPARED` is an ordinary tfds data set in array_record files; TensorFlow is not needed to read it:

```python
import tensorflow_datasets as tfds

faces = tfds.data_source("facial_expressions/affectnet7-64px", data_dir="PREPARED", split="train")
faces[0]["image"], faces[0]["label"], faces[0]["valence"], faces[0]["landmarks"]
```

Its metadata (`metadata.json`) say which layout it came from, with which order of labels, how many images of each class went
in and came out, what was left out and why, and hold a fingerprint of the content. Images are resized with antialiasing and
padded with black where a box reaches over the border; landmarks are in pixels of the crop. Training images that are
exact copies of a validation or test image are left out unless you pass `--leaks keep`; `--leaks near` leaves out those that
look like one too, as `jaxfer data check` finds them, with [what it does not see](data.md#what-is-held-out).
"""


def main() -> None:
    """Write the page."""
    (DOCS / "affectnet.md").write_text(page())


def page() -> str:
    """Return the page, after running every command in it."""
    contents = "\n".join(f"- [{section.title}](#{anchor(section.title)})" for section in SECTIONS)
    return INTRODUCTION.format(contents=contents) + "".join(map(rendered, SECTIONS)) + ENDING


def rendered(section: Section) -> str:
    """Return a section with its commands and what they print."""
    (format_,) = (format_ for format_ in FORMATS if format_.name == section.format_name)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "DIR"
        data.mkdir()
        format_.write(data, PER_CLASS)
        classes = " --num-classes 8" if len(format_.classes) == 8 else ""
        flags = f" {section.flags}" if section.flags else ""
        commands = [f"jaxfer data check DIR{flags}", f"jaxfer data prepare DIR --out PREPARED{classes}{flags}"]
        shown = "\n".join(f"$ {command}\n{output(command, folder)}\n" for command in commands)
    return f"\n## {section.title}\n\n```\n{section.tree}\n```\n\n{textwrap.fill(section.text, WIDTH)}\n\n```\n{shown.rstrip()}\n```\n"


def output(command: str, folder: str) -> str:
    """Return what a command prints, without trailing spaces."""
    program = [sys.executable, "-c", "from jaxfer.cli.main import main; main()", *command.split()[1:]]
    environment = os.environ | {"COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    result = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return "\n".join(line.rstrip() for line in result.stdout.rstrip().splitlines())


def anchor(title: str) -> str:
    """Return the fragment that GitHub gives a heading."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


if __name__ == "__main__":
    main()
