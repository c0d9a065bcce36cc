"""Gather the pages of the site in a folder, from which MkDocs builds it (`make site`, see mkdocs.yml).

Pages stay where people read them on the disk; here those of docs/ and a few others get their places in the site, the
reference is written from what each room exports, and links to files that are no pages lead to copies of them.
"""

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build" / "pages"

ELSEWHERE = {
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "jaxfer/inference/weights/small/README.md": "cards/small.md",
}
"""Pages outside of docs/, with their places in the site."""

DESCRIBED = {"jaxfer/__init__.py": "reference/jaxfer.md", "jaxfer/cli/main.py": "reference/commands.md"}
"""Source that pages link to for want of the reference, which the site has."""

ROOMS = (
    *("config", "emotions", "errors", "data", "data.transforms", "data.synthetic", "models", "tasks", "training"),
    *("metrics", "evaluation", "inference", "reports", "runs", "sweeps", "devices"),
)
"""The modules that the reference describes, each on a page."""

COMMANDS = (
    "",
    "train",
    "sweep",
    "evaluate",
    "report",
    "predict",
    "demo",
    "export",
    "card",
    "data check",
    "data prepare",
    "doctor",
)

FILES = "files"
"""The folder of the site for files that pages link to and that are none."""

LINK = re.compile(r"(\]\()([^)\s]+)(\))")
FENCED = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)


def main() -> None:
    """Write all pages anew."""
    shutil.rmtree(PAGES, ignore_errors=True)
    places = {path: path.relative_to(ROOT / "docs") for path in sorted((ROOT / "docs").rglob("*.md"))}
    places |= {path: path.relative_to(ROOT / "docs").with_suffix(".md") for path in notebooks()}
    places |= {ROOT / source: Path(place) for source, place in ELSEWHERE.items()}
    described = {ROOT / source: Path(place) for source, place in DESCRIBED.items()}
    for source, place in places.items():
        text = of_notebook(source, place) if source.suffix == ".ipynb" else source.read_text(encoding="utf-8")
        text = linked(text, source, places | described)
        if source.suffix == ".ipynb":
            put(place.with_suffix(".ipynb"), source.read_bytes())
            text += f"\n[This page as a notebook]({source.name})\n"
        put(place, text)
    for room in ROOMS:
        put(Path("reference") / f"{room}.md", reference(room))
    put(Path("reference/jaxfer.md"), front_door())
    put(Path("reference/commands.md"), commands())
    shutil.copytree(ROOT / "docs" / "site", PAGES / "site")


def put(place: Path, content: str | bytes) -> None:
    """Write a page or a file of the site."""
    path = PAGES / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def notebooks() -> list[Path]:
    """Return the executed notebooks."""
    return sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))


def linked(text: str, source: Path, places: dict[Path, Path]) -> str:
    """Return a page with its links as the site has them, and put the files there that it links to.

    Args:
        text: The page.
        source: Where it lies.
        places: Where each page goes.
    """

    def moved(match: re.Match[str]) -> str:
        target, hash_, anchor = match[2].partition("#")
        if "://" in target or target.startswith("mailto:") or not target:
            return match[0]
        path = Path(os.path.normpath(source.parent / target))
        if path in places:
            place = places[path]
        elif path.is_relative_to(ROOT / "docs") and path.is_file():
            place = path.relative_to(ROOT / "docs")
            put(place, path.read_bytes())
        elif path.is_dir():
            place = listing(path)
        elif path.is_file():
            place = Path(FILES) / path.relative_to(ROOT)
            put(place, path.read_bytes())
        else:
            return match[0]  # broken, as the build will say
        return match[1] + os.path.relpath(place, places[source].parent) + hash_ + anchor + match[3]

    parts = FENCED.split(without_front_matter(text))
    return "".join(part if FENCED.fullmatch(part) else LINK.sub(moved, part) for part in parts)


def without_front_matter(text: str) -> str:
    """Return a page without the YAML before it, which says something to hubs of models and nothing to readers."""
    return re.sub(r"\A---\n.*?\n---\n+", "", text, flags=re.DOTALL)


def listing(folder: Path) -> Path:
    """Put the files of a folder into the site, and return the place of a page that lists them."""
    name = folder.relative_to(ROOT)
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    files = [path for path in files if path.suffix != ".md"]
    for path in files:
        put(Path(FILES) / name / path.name, path.read_bytes())
    lines = [f"- [{path.name}]({path.name})" for path in files]
    put(Path(FILES) / name / "index.md", f"# {name}\n\n" + "\n".join(lines) + "\n")
    return Path(FILES) / name / "index.md"


def public_names(room: str) -> list[str]:
    """Return what a room exports; of a module without `__all__`, the names it makes that are not private."""
    module = importlib.import_module(f"jaxfer.{room}")
    if hasattr(module, "__all__"):
        return sorted(module.__all__, key=str.lower)
    names = []
    for node in ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [target.id for target in targets if isinstance(target, ast.Name)]
    return [name for name in names if not name.startswith("_")]


def reference(room: str) -> str:
    """Return the page of a room: what it is for, and every name with its docstring."""
    said = importlib.import_module(f"jaxfer.{room}").__doc__ or ""
    names = "".join(f"::: jaxfer.{room}.{name}\n\n" for name in public_names(room))
    return f"# jaxfer.{room}\n\n{said.strip()}\n\n{names}"


def front_door() -> str:
    """Return the page of `import jaxfer`: its names, each with a link to the page that describes it."""
    import jaxfer

    lines = []
    for name in sorted(set(jaxfer.__all__) - {"__version__"}, key=str.lower):
        room = jaxfer._ROOM_OF[name]
        said = (getattr(jaxfer, name).__doc__ or "").strip().partition("\n")[0]
        said = "the configurations that have a name" if name == "PRESETS" else said
        lines.append(f"| [`{name}`]({room}.md#jaxfer.{room}.{name}) | `jaxfer.{room}` | {said} |")
    rooms = "\n".join(f"- [`jaxfer.{room}`]({room}.md)" for room in ROOMS)
    return (
        f"# import jaxfer\n\n{(jaxfer.__doc__ or '').strip()}\n\n| name | room | |\n|---|---|---|\n"
        + "\n".join(lines)
        + f"\n\n## All rooms\n\n{rooms}\n\n[The commands](commands.md)\n"
    )


def commands() -> str:
    """Return the page of the command line: what `--help` says of each verb."""
    text = "# The commands\n\nWhat `--help` says. [How they end, and completion](../reports.md#exit-codes-and-completion).\n"
    for verb in COMMANDS:
        command = [sys.executable, "-m", "jaxfer", *verb.split(), "--help"]
        environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1"}
        said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        text += f"\n## {f'jaxfer {verb}'.strip()}\n\n```text\n{said.strip()}\n```\n"
    return text


def of_notebook(path: Path, place: Path) -> str:
    """Return an executed notebook as a page, and put its pictures into the site."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = []
    for number, cell in enumerate(cells):
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
            continue
        parts.append(f"```python\n{text}\n```")
        for index, output in enumerate(cell["outputs"]):
            data = output.get("data", {})
            if "image/png" in data:
                picture = place.with_name(f"{place.stem}-{number}-{index}.png")
                put(picture, b64decode("".join(data["image/png"])))
                parts.append(f"![What the program above drew](../{picture})")
                continue
            said = "".join(output.get("text", data.get("text/plain", ""))).rstrip()
            if said:
                parts.append(f"```text\n{said}\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
