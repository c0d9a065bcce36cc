"""What public docstrings must have, so that a page of reference can be made of them: sections in Google's form."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "jaxfer"
FILES = sorted(ROOT.rglob("*.py"))
MANY = 2
"""Parameters that a summary can name; a function of more describes each in `Args:`."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public(tree: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, ast.ClassDef | Function]]:
    """Yield the public classes and functions of a module and of its classes, and their `__init__`, by name."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | Function) and (node.name == "__init__" or not node.name.startswith("_")):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{node.name}.")


def parameters(function: Function) -> list[str]:
    """Return the names of a function's parameters, without self and cls."""
    given, names = function.args, []
    for one in (*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg):
        names += [] if one is None or one.arg in ("self", "cls") else [one.arg]
    return names


def raises(function: Function) -> set[str]:
    """Return which of the errors that users meet the body of a function raises, functions inside it left out."""
    found, left = set(), list(function.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            found.add(node.exc.func.id)
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            left += ast.iter_child_nodes(node)
    return found & {"UserError", "ValueError"}


def entries(docstring: str, section: str) -> set[str]:
    """Return what a section of a docstring has entries of, without the asterisks of `*args`."""
    found = re.search(rf"^{section}:\n((?:(?:    .*)?\n)+)", docstring + "\n", re.MULTILINE)
    return set(re.findall(r"^    \**(\w+): \S", found[1], re.MULTILINE)) if found else set()


def missing(source: str) -> list[str]:
    """Return what the docstrings of a module lack, one sentence each."""
    tree = ast.parse(source)
    faults, docstrings = [], {name: ast.get_docstring(node) for name, node in public(tree)}
    for name, node in public(tree):
        owner = name.removesuffix(".__init__")
        docstring = docstrings[owner] or ""
        if not docstring and owner == name:
            faults.append(f"{name} has no docstring")
        if isinstance(node, ast.ClassDef):
            continue
        names = parameters(node)
        lacking = set(names) - entries(docstring, "Args") if len(names) > MANY else set()
        faults += [f"{name} does not describe {one} in Args:" for one in names if one in lacking]
        faults += [
            f"{name} does not list {one} in Raises:" for one in sorted(raises(node) - entries(docstring, "Raises"))
        ]
    return faults


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_docstrings_have_the_sections_that_they_need(path):
    assert missing(path.read_text()) == []


GOOD = '''
class Shelf:
    """A shelf.

    Args:
        a: First.
        b: Second.
        c: Third.

    Raises:
        ValueError: It is full.
    """

    def __init__(self, a, b, *, c):
        raise ValueError("full")

    def put(self, a, *more, last):
        """Put books.

        Args:
            a: First,
                on two lines.
            *more: Others.
            last: Last.

        Returns:
            Nothing.
        """

        def inside():
            raise ValueError("not of the function's own body")

    def _hidden(self, a, b, c): ...
'''


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("", "", None),
        ("        b: Second.\n", "", "Shelf.__init__ does not describe b in Args:"),
        ("            *more: Others.\n", "", "Shelf.put does not describe more in Args:"),
        ("            last: Last.\n", "", "Shelf.put does not describe last in Args:"),
        ("        ValueError: It is full.\n", "", "Shelf.__init__ does not list ValueError in Raises:"),
        ("    def _hidden", "    def shown", "Shelf.shown has no docstring"),
    ],
)
def test_a_lack_is_found(old, new, fault):
    found = missing(GOOD.replace(old, new))
    assert fault in found if fault else not found
