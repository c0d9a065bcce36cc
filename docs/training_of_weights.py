"""How a network that ships was trained, in the words that its card and the results page share."""

from typing import Any


def command(found: dict[str, Any]) -> str:
    """Return the command that trains a network anew from its measured file; one number format serves all runs of it."""
    first, *after = found["runs"]
    seed = found["made"]["config"]["seed"]
    stages = "".join(f" --{'born-again' if run.get('teachers') else 'then'} {run['epochs']}" for run in after)
    flags = (f" --seed {seed}" if seed else "") + (f" --dtype {first['dtype']}" if first["dtype"] != "float32" else "")
    return (
        f"python examples/train_fer2013.py fer2013.csv --votes fer2013new.csv --epochs {first['epochs']}{stages}{flags}"
    )


def epochs(found: dict[str, Any]) -> str:
    """Return how long a network was trained, in words."""
    first, *after = found["runs"]
    taught = (" and taught by it" if run.get("teachers") else "" for run in after)
    return f"{first['epochs']} epochs" + "".join(
        f" and then, from that network at half the rate{how}, {run['epochs']}"
        for how, run in zip(taught, after, strict=True)
    )
