"""Run the tutorials, docs/tutorials/NAME.py, and write each with its output as the notebook docs/tutorials/NAME.ipynb.

    python docs/make_tutorials.py [NAME ...] [--out DIR]

A tutorial is a program with cells as editors know them: `# %%` begins one of code, `# %% [markdown]` one of text in
comments. It runs from top to bottom in a fresh kernel and an empty folder, and any error ends this program.
"""

import argparse
import json
import re
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "tutorials"

SECONDS = 900
"""How long a cell may take on a machine with much else to do."""

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def main() -> None:
    """Run what the command line names, by default all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--out", type=Path, default=FOLDER)
    asked = parser.parse_args()
    for source in sorted(FOLDER.glob("*.py")):
        if not asked.names or source.stem in asked.names:
            notebook = executed(source.read_text(encoding="utf-8"))
            text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
            (asked.out / f"{source.stem}.ipynb").write_text(text, encoding="utf-8")
            print(f"{source.stem}: {len(text):,} bytes")


def cells(program: str) -> list[dict[str, Any]]:
    """Return the cells of a tutorial, as a notebook that has not run has them."""
    found = []
    for part in re.split(r"^# %%", program, flags=re.MULTILINE)[1:]:
        first, _, body = part.partition("\n")
        text = body.strip("\n")
        if first.strip() == "[markdown]":
            text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
            found.append({"cell_type": "markdown", "metadata": {}, "source": lines(text)})
        else:
            code = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": lines(text)}
            found.append(code)
    for number, cell in enumerate(found):
        cell["id"] = f"cell-{number}"
    return found


def lines(text: str) -> list[str]:
    """Return a text as notebooks keep it."""
    return text.splitlines(keepends=True)


def executed(program: str) -> dict[str, Any]:
    """Return the notebook of a tutorial with its output.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell raised an error.
    """
    import nbformat
    from nbclient import NotebookClient

    fresh = {"cells": cells(program), "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    notebook: Any = nbformat.reads(json.dumps(fresh), as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": folder}})
        client.execute()
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            cell["execution_count"], cell["outputs"] = count, outputs(cell["outputs"])
        cell["metadata"] = {}
    return json.loads(nbformat.writes(nbformat.from_dict({**notebook, "metadata": METADATA})))


def outputs(found: list[Any]) -> list[dict[str, Any]]:
    """Return what a cell has shown: text that a reader would see in the end, and pictures."""
    kept: list[dict[str, Any]] = []
    for one in found:
        data = one.get("data", {})
        if "image/png" in data:
            png = {"image/png": data["image/png"], "text/plain": data.get("text/plain", "")}
            kept.append({"output_type": "display_data", "data": png, "metadata": {}})
            continue
        said = shown("".join(one.get("text", data.get("text/plain", ""))))
        if kept and kept[-1]["output_type"] == "stream":
            kept[-1]["text"] += said
        elif said.strip():
            kept.append({"output_type": "stream", "name": "stdout", "text": said})
    return kept


def shown(text: str) -> str:
    r"""Return text as a terminal leaves it: without colours, and of a line that was written anew the last state.

    >>> shown("1%\r\x1b[1m50%\x1b[0m\r100%\n")
    '100%\n'
    """
    text = ESCAPES.sub("", text)
    return "\n".join(line.rpartition("\r")[2] for line in text.split("\n"))


if __name__ == "__main__":
    main()
