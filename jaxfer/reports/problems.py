"""What each kind of problem of a data set is called, what it means, and what to do about it: in terminal and page."""

from dataclasses import dataclass

from jaxfer.data.checking.findings import Check, Problem


@dataclass(frozen=True)
class Wording:
    """A heading, a sentence on what is listed under it, and after the heading and a colon what to do next."""

    title: str
    meaning: str
    advice: str


KINDS = {
    "leak": Wording(
        "Leaks",
        "Faces of a validation or test split that another split holds too, pixel by pixel, where it is learnt from or "
        "selected on.",
        "train without the copies, or scores are too high: `jaxfer data prepare` leaves them out of training splits.",
    ),
    "near_leak": Wording(
        "Probable leaks",
        "Faces of a validation or test split that look like one of another split: other crops, sizes, brightness, or "
        "mirror images of the same photograph.",
        "look at the pairs; `jaxfer data prepare --leaks near` leaves their training images out.",
    ),
    "label_conflict": Wording(
        "Conflicting labels",
        "Faces that are labelled twice and differently.",
        "decide on one label, or leave these faces out: one of the two labels is wrong.",
    ),
    "unreadable": Wording(
        "Unreadable images",
        "Files that are damaged, empty, or no images.",
        "copy or download these files again.",
    ),
    "missing": Wording(
        "Rows without a file",
        "Rows that name an image which is not there.",
        "unpack all archives of the data into this place, or find out which part of it is missing.",
    ),
    "unlabelled": Wording(
        "Unlabelled faces",
        "Images whose label is missing or cannot be read; they are not used.",
        "check that all annotations are there.",
    ),
    "unlisted": Wording(
        "Files without a row",
        "Images that no row of the data's lists names; they are not used.",
        "check that all lists are there; images of other lists are best moved away.",
    ),
    "box": Wording(
        "Boxes outside of the photograph",
        "Faces whose box reaches beyond the photograph. They are used; what lies outside is black.",
        "check that these photographs have the size that the boxes were drawn for.",
    ),
    "affect": Wording(
        "Invalid valence or arousal",
        "Faces whose valence or arousal is no number from -1 to 1. They are used for their class alone.",
        "nothing has to be done unless you train on valence and arousal.",
    ),
    "duplicate": Wording(
        "Duplicates",
        "Faces that their own split holds already, pixel by pixel.",
        "these faces weigh more than others; `jaxfer data prepare --duplicates drop` keeps one of each.",
    ),
    "near_duplicate": Wording(
        "Probable duplicates",
        "Faces that look like an earlier one of their split: other crops, sizes, brightness, or mirror images of the "
        "same photograph.",
        "expect them in data that was augmented before it was published, and look at the pairs.",
    ),
    "excluded": Wording(
        "Not used",
        "Rows of other classes, without a known split, behind links that leave the data, or of files that are no "
        "images by their names.",
        "nothing has to be done if you expect them.",
    ),
}
"""The words for each of `jaxfer.data.checking.KINDS`."""

NOTHING_WRONG = "No problem was found."

UNSEEN = (
    "Of copies that were turned by 3 degrees or cropped by 3% on each side, half or fewer are found; hardly any "
    "that were turned by more than 5 degrees or cropped by more than 4%; and no other photograph of the same person."
)
"""What the search for look-alikes does not see, in a sentence; measured on FER2013, see docs/data.md."""


def next_steps(check: Check) -> list[str]:
    """Return what to do, the most important first."""
    steps = [] if check.images else ["Find out below why no image can be used."]
    kinds = (KINDS[kind] for kind, problems in check.problems.items() if problems)
    return steps + [f"{kind.title}: {kind.advice}" for kind in kinds]


def in_short(problem: Problem) -> str:
    """Return what is wrong with an image, with the image that it is a copy of."""
    text = problem.reason
    if problem.other:
        text += f": {problem.other}"
    if problem.other_label and problem.other_label != problem.label:
        text += f" ({problem.label} here, {problem.other_label} there)"
    if problem.similarity is not None:
        text += f", similarity {problem.similarity:.2f}"
    return text
