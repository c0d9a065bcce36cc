"""Numbers, scores, settings and durations in words: one function for each, for all pages and for the terminal."""

import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxfer.metrics.scores import Measure

NO_INTERVAL = "no interval"

SHOWN = {
    "one": "",
    "flip": "each image and its mirror image",
    "five": "each image and itself moved a little towards each of the four corners",
    "ten": "each image, itself moved a little towards each of the four corners, and the mirror images of these five",
}
"""What the probabilities of each of `jaxfer.config.Views` are averaged over."""


def printable(text: str) -> str:
    r"""Return text that does nothing but show itself.

    What is no character, such as a byte of a file's name, and what controls a terminal or turns the direction of
    writing becomes its escape; lines stay lines.

    >>> printable("caf\udce9.jpg \x1b[31m \u202egpj.exe")
    'caf\\udce9.jpg \\x1b[31m \\u202egpj.exe'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        one if one == "\n" or unicodedata.category(one) not in _UNSEEN else one.encode("unicode_escape").decode()
        for one in text
    )


def in_a_line(text: str) -> str:
    r"""Return text that does nothing but show itself, in one line.

    >>> in_a_line("red\n\x1b[31m")
    'red\\n\\x1b[31m'
    """
    return printable(text).replace("\n", "\\n")


_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of Unicode: controls, formats (joiners of letters among them), halves of characters, separators."""


def cell(text: str) -> str:
    """Return text for a cell of a csv, which no spreadsheet takes for a formula.

    >>> cell("=HYPERLINK(1)"), cell("a = b")
    ("'=HYPERLINK(1)", 'a = b')
    """
    text = in_a_line(text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def counted(number: int, noun: str) -> str:
    """Return how many there are of something, in words.

    >>> counted(1, "face"), counted(1200, "face")
    ('1 face', '1,200 faces')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def thousands(number: int) -> str:
    """Return a whole number with commas between its thousands."""
    return f"{number:,}"


def percent(share: float | None) -> str:
    """Return a share of one in percent; None is what JSON has for NaN.

    >>> percent(0.4613), percent(None)
    ('46.1%', 'n/a')
    """
    return "n/a" if share is None else f"{share:.1%}"


def decimal(value: float | None, digits: int = 3, missing: str = "n/a") -> str:
    """Return a number in words.

    Args:
        value: None is what JSON has for NaN.
        digits: How many come after the point.
        missing: The word for None.

    >>> decimal(0.25), decimal(None, missing="not finite")
    ('0.250', 'not finite')
    """
    return missing if value is None else f"{value:.{digits}f}"


def between(bounds: Sequence[float | None], shown: Callable[[Any], str] = decimal) -> str:
    """Return the bounds of an interval in words, each as `shown` writes a number.

    >>> between((-0.01, 0.02)), between((0.4257, 0.458), percent)
    ('-0.010 to 0.020', '42.6% to 45.8%')
    """
    return " to ".join(map(shown, bounds))


def by_chance(split: Mapping[str, Any], shown: Callable[[Any], str] = decimal) -> str:
    """Return what calibration error a network that is as sure as it is right has by chance, in words.

    Args:
        split: The scores of a split, or those with a temperature, with `ece_by_chance`; scores of a release before
            lack it, and the words are then empty, as they are where it is not a number.
        shown: Writes a number.

    >>> by_chance({"ece_by_chance": {"mean": 0.02, "percentile_95": 0.031}})
    'by chance 0.020, 95% below 0.031'
    """
    mean, most = (split.get("ece_by_chance", {}).get(name) for name in ("mean", "percentile_95"))
    return "" if mean is None or most is None else f"by chance {shown(mean)}, 95% below {shown(most)}"


class Measures:
    """What the scores of a split are called, and how they and their intervals are written.

    What it needs of other rooms imports JAX, and is imported when used: a check of data does without.

    Args:
        known: Measures by their name, in the order in which they are listed: `jaxfer.tasks.MEASURES`, and
            those of one's own. A score that is not among them is called by its name, with blanks for underscores.
    """

    def __init__(self, known: "Mapping[str, Measure]") -> None:
        self._known = known

    def __getitem__(self, name: str) -> "Measure":
        from jaxfer.metrics.scores import Measure

        return self._known.get(name) or Measure(name.replace("_", " "))

    def column(self, name: str) -> str:
        """Return the heading of a narrow column."""
        return self[name].short or self[name].heading

    def number(self, name: str, value: float | None) -> str:
        """Return the value of a score in words."""
        return self._shown(name)(value)

    def interval(self, split: Mapping[str, Any], name: str) -> str:
        """Return the 95% interval of a split's score in words: Wilson's where there is no accuracy's bootstrap."""
        from jaxfer.evaluation.intervals import wilson_interval

        bounds = split.get("intervals", {}).get(name)
        if bounds is None and name == "accuracy" and split["accuracy"] is not None:
            bounds = wilson_interval(split["accuracy"], split["examples"])
        return NO_INTERVAL if bounds is None or None in bounds else between(bounds, self._shown(name))

    def cell(self, split: Mapping[str, Any], name: str) -> tuple[str, str]:
        """Return a split's score and below it its interval, for a table; `by_chance` is below a calibration error."""
        return self.number(name, split[name]), by_chance(split) if name == "ece" else self.interval(split, name)

    def note(self, split: Mapping[str, Any], name: str) -> str:
        """Return the same for below a score that stands alone, with what an interval is."""
        return by_chance(split) if name == "ece" else f"95%: {self.interval(split, name)}"

    def names(self, *splits: Mapping[str, Any]) -> list[str]:
        """Return the scores that all splits have: those known in their order, then the others as they come."""
        found = (name for split in splits[:1] for name, value in split.items() if is_score(name, value))
        shared = [name for name in found if all(name in split for split in splits)]
        known = [name for name in self._known if name in shared]
        return known + [name for name in shared if name not in self._known]

    def curves(self, names: Iterable[str]) -> "list[tuple[Measure, dict[str, str]]]":
        """Return which scores of heads besides the expression belong into one figure: those of one title.

        Returns:
            For each title a measure, and by what they are of, the names of its scores. Only leading ones are there.
        """
        curves: dict[str, tuple[Measure, dict[str, str]]] = {}
        for name in names:
            measure = self[name]
            if measure.leading and (measure.of or name not in self._known):
                curves.setdefault(measure.title, (measure, {}))[1][measure.of or measure.title] = name
        return list(curves.values())

    def _shown(self, name: str) -> Callable[[float | None], str]:
        return percent if self[name].percent else decimal


def is_score(name: str, value: Any) -> bool:
    """Return whether an entry of a split of `summary.json` is a score; null is NaN."""
    number = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    return number and not f"_{name}".endswith("_examples")


def known_of(split: Mapping[str, Any]) -> dict[str, int]:
    """Return of how many images a split knows each quantity that it does not know of all, such as `valence`."""
    return {name.removesuffix("_examples"): n for name, n in split.items() if name.endswith("_examples")}


def where(split: Mapping[str, Any], network: str, of: str = "") -> str:
    """Return what belongs beside every number: the split, the number of its images, and which network it is of.

    Args:
        split: A split of `summary.json`, or `Evaluation.scores`.
        network: Whose number it is, such as the epoch of the checkpoint.
        of: What is measured, as `Measure.of` says it; where some images lack it, such as `valence`, the images that
            have it are counted. Empty for the expression.
    """
    examples = known_of(split).get(of, split["examples"])
    return f"{split['split']}, n\u00a0=\u00a0{examples:,}, {network}"


def with_temperature(temperature: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Return what a temperature does, in words.

    Args:
        temperature: Its `value`, the `split` it was fitted on and the number of its `examples`, and with it
            `cross_entropy`, `ece` and, where they are known, `intervals` and `ece_by_chance`.
        before: The scores without it.
    """
    parts = []
    bounds = temperature.get("intervals", {}).get("cross_entropy")
    known = "" if bounds is None or None in bounds else f"95%: {between(bounds)}"
    for name, words, beside in (
        ("ece", "calibration error", by_chance(temperature)),
        ("cross_entropy", "cross entropy", known),
    ):
        beside = beside and f" ({beside})"
        parts.append(f"the {words} is {decimal(temperature[name])}{beside} in place of {decimal(before[name])}")
    return (
        f"With the temperature {decimal(temperature['value'])}, fitted on {temperature['split']} "
        f"(n = {temperature['examples']:,}), {' and '.join(parts)}; the predicted classes stay as they are."
    )


def setting(value: Any) -> str:
    """Return a value from a JSON file in words.

    >>> setting(None), setting([30, 40]), setting(0), setting(False)
    ('none', '30, 40', '0', 'no')
    """
    if isinstance(value, list):
        return ", ".join(map(setting, value))
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(str(value))


def configuration(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the fields of a `config.json` in words, by their group; `run` has those that belong to none.

    >>> configuration({"epochs": 2, "loss": {"l2": 0.0}})
    {'run': {'epochs': '2'}, 'loss': {'l2': '0.0'}}
    """
    groups = {name: value for name, value in config.items() if isinstance(value, dict)}
    run = {name: value for name, value in config.items() if name not in groups}
    return {
        name: {field: setting(value) for field, value in group.items()}
        for name, group in {"run": run, **groups}.items()
    }


def duration(seconds: float) -> str:
    """Return a duration in words.

    >>> duration(7.25), duration(75.4), duration(8604.2), duration(math.inf)
    ('7.2 s', '1 min 15 s', '2 h 23 min', 'n/a')
    """
    if not math.isfinite(seconds):  # of a log that is damaged
        return "n/a"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"
