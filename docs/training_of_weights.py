"""How a network that ships was trained, in the words that its card and the results page share."""

from typing import Any


def command(found: dict[str, Any]) -> str:
    """Return the command that trains a network anew from its measured file, in the number format of its last run."""
    first, *after = found["runs"]
    seed, dtype = found["made"]["config"]["seed"], found["runs"][-1]["dtype"]
    stages = "".join(f" --{'then-taught' if run['teachers'] else 'then'} {run['epochs']}" for run in after)
    flags = (f" --seed {seed}" if seed else "") + (f" --dtype {dtype}" if dtype != "float32" else "")
    return (
        f"python examples/train_fer2013.py fer2013.csv --votes fer2013new.csv --epochs {first['epochs']}{stages}{flags}"
    )


def unlike_the_command(found: dict[str, Any]) -> str:
    """Return in what the runs that were made differ from those of the command, in words; empty if in nothing."""
    runs, split = found["runs"], found["views"]["one"]["split"]
    words = []
    for number, run in enumerate(runs, 1):
        if run["dtype"] != runs[-1]["dtype"]:
            words.append(f"run {number} computed in {run['dtype']}")
        if run["drawn_anew"]:
            words.append(f"run {number} drew its last layers anew ({' and '.join(run['drawn_anew'])})")
        words += [
            f"run {number} was taught by epoch {one['epoch']} of {one['of']}, the best on {split}, in place of the last"
            for one in run["teachers"]
            if one["chosen"] == "best"
        ]
    return "; ".join(words)


def epochs(found: dict[str, Any]) -> str:
    """Return how long a network was trained, in words."""
    first, *after = found["runs"]
    taught = (" and taught by it" if run["teachers"] else "" for run in after)
    return f"{first['epochs']} epochs" + "".join(
        f" and then, from that network at half the rate{how}, {run['epochs']}"
        for how, run in zip(taught, after, strict=True)
    )


def selection(found: dict[str, Any]) -> str:
    """Return what the split that scores the network has chosen, in sentences."""
    *before, _ = (f"{run['scores']['accuracy']:.4f}" for run in found["runs"])
    split = found["views"]["one"]["split"]
    words = f"{split} stopped nothing and chose no epoch of the network itself, whose last one is scored."
    chosen = [one for run in found["runs"] for one in run["teachers"] if one["chosen"] == "best"]
    if chosen:
        words += f" It chose the epoch of the teacher, {chosen[0]['epoch']} of {chosen[0]['of']}."
    if before:
        words += (
            f" Each further run was decided on when the one before had been scored on {split} ({', '.join(before)}), "
            "so that the number is a little optimistic."
        )
    return words
