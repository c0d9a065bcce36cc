"""The rooms of jaxfer, from the ground up: a room imports rooms below it, never above, and each fact has one place.

Read from the source of every file, so that an import inside a function or under TYPE_CHECKING counts as any other.
"""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "jaxfer"
GROUND = ("version", "errors", "interrupt", "files", "json_text", "emotions", "bounds", "config")
ROOMS = (
    "metrics",
    "models",
    "data",
    "tasks",
    "devices",
    "runs",
    "training",
    "evaluation",
    "inference",
    "reports",
    "sweeps",
    "demo",
    "cli",
)
DOOR = "the front door"
"""The package itself, which offers what all rooms have, lazily."""
ORDER = {name: height for height, name in enumerate((*GROUND, *ROOMS, "__main__", DOOR))}
FILES = sorted(ROOT.rglob("*.py"))


def module_of(path: Path) -> str:
    """Return the dotted name of a file of jaxfer."""
    parts = ("jaxfer", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """Return all that a file's source consists of, the whole first."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))))


@pytest.fixture(scope="module", autouse=True)
def _read_once():
    yield
    nodes_of.cache_clear()


MODULES = {module_of(path) for path in FILES}


@cache
def imports_of(path: Path) -> list[tuple[int, str]]:
    """Return the line and the name of each module of jaxfer that a file imports, wherever in it that stands."""
    found = []
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] == "jaxfer"]
        elif isinstance(node, ast.ImportFrom) and node.level:
            pytest.fail(f"{path}:{node.lineno} imports relatively: write the whole name")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "jaxfer":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.append((node.lineno, inner if inner in MODULES else str(node.module)))
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            found += [(node.lineno, text.value) for text in ast.walk(node) if getattr(text, "value", None) in MODULES]
    return found


def room_of(module: str) -> str:
    """Return the room, or the module of the ground floor, that a module belongs to; of the package itself, the door."""
    return module.split(".")[1] if "." in module else DOOR


def test_every_file_belongs_to_a_room():
    there = {room_of(module) for module in MODULES} - {DOOR}
    assert there <= ORDER.keys()
    assert set(ROOMS) <= there
    for name in ROOMS:
        whole = nodes_of(ROOT / name / "__init__.py")[0]
        assert isinstance(whole, ast.Module)
        assert ast.get_docstring(whole), name


def test_rooms_import_what_is_below_them():
    upwards = []
    for path in FILES:
        own = room_of(module_of(path))
        for line, imported in imports_of(path):
            other = room_of(imported)
            if ORDER[other] > ORDER[own]:
                upwards.append(f"{path.relative_to(ROOT.parent)}:{line}: {own} imports {other} ({imported})")
    assert not upwards, "\n".join(upwards)


def test_no_modules_import_each_other_in_a_circle():
    graph = {}
    for path in FILES:
        module = module_of(path)
        graph[module] = {name for _, name in imports_of(path)} - {module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_the_front_door_names_rooms_that_are_there():
    names = {room_of(name) for _, name in imports_of(ROOT / "__init__.py")}
    assert names <= ORDER.keys()


def lines_with(*, outside: tuple[str, ...], holds) -> list[str]:
    """Return where, outside of some rooms, there is a node of the source for which `holds` is true."""
    found = []
    for path in FILES:
        if room_of(module_of(path)) not in outside:
            found += [f"{path.relative_to(ROOT.parent)}:{node.lineno}" for node in nodes_of(path) if holds(node)]
    return found


def own_names_of_resnets() -> set[str]:
    """Return the names that `ResNetFER` gives to its modules, as its parameters have them."""
    import jax
    import numpy as np

    from jaxfer.models import BottleneckBlock, ResNetFER

    models = [
        ResNetFER(width=4, stage_sizes=(1, 1), block=BottleneckBlock),
        ResNetFER(width=4, stage_sizes=(2, 2, 2, 2), squeeze=2),
    ]
    names: set[str] = set()
    for model in models:
        shapes = jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32))
        for path, _ in jax.tree_util.tree_leaves_with_path(shapes["params"]):
            names |= {key.key for key in path[:-1]}
    return names


def test_nobody_but_the_network_knows_the_names_of_its_modules():
    names = own_names_of_resnets()
    assert {"stem_conv", "stage1_block1", "shortcut_conv", "excitation", "head"} <= names
    # `head` is a word like any other; the others are nobody else's.
    names -= {"head"}

    def is_name(node: ast.AST) -> bool:
        return isinstance(node, ast.Constant) and node.value in names

    assert not lines_with(outside=("models",), holds=is_name)


def test_nobody_asks_jax_for_its_default_backend():
    def asks(node: ast.AST) -> bool:
        if isinstance(node, ast.Attribute):
            return node.attr in ("default_backend", "platform_dependent")
        return isinstance(node, ast.ImportFrom) and any("default_backend" in alias.name for alias in node.names)

    assert not lines_with(outside=(), holds=asks)


def test_only_models_and_the_command_line_import_what_the_user_names():
    def imports_any(node: ast.AST) -> bool:
        if isinstance(node, ast.Name | ast.Attribute):
            return ast.unparse(node).rpartition(".")[2] in ("import_network", "__import__")
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module")):
            return False
        # A package loads its own modules by their names when they are first asked for.
        return not ast.unparse(node.args[0]).lstrip("f").strip("'\"").startswith(("jaxfer.", "{__name__}."))

    assert not lines_with(outside=("models", "cli"), holds=imports_any)


def test_nobody_but_reports_and_the_command_line_prints_or_draws():
    def shows(node: ast.AST) -> bool:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return node.func.id == "print"
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        return any(name.split(".")[0] in ("matplotlib", "rich", "jinja2", "html") for name in modules)

    assert not lines_with(outside=("reports", "cli", "__main__"), holds=shows)


def test_orbax_is_known_to_one_file():
    def knows(node: ast.AST) -> bool:
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        return any(name.split(".")[0] == "orbax" for name in modules)

    files = {place.partition(":")[0] for place in lines_with(outside=(), holds=knows)}
    # Processes wait for each other by Orbax's `multihost`, since JAX has the same in private alone.
    assert files == {"jaxfer/runs/checkpoints.py", "jaxfer/devices/consensus.py"}


def test_files_are_opened_for_reading_in_one_place():
    """What is no file, a pipe above all, is refused there, and how much is read is bounded."""

    def reads(node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        called = ast.unparse(node.func)
        of, _, name = called.rpartition(".")
        if called in ("open", "os.open", "np.load", "np.fromfile", "np.loadtxt", "NpzFile"):
            return True
        # These are given what is open already, or read the checkpoints that Orbax has written.
        if name == "open" and of not in ("Image", "tensorstore", "self._members"):
            return not any(isinstance(mode, ast.Constant) and mode.value == "wb" for mode in node.args)
        return name in ("read_text", "read_bytes") and bool(of)

    # What devices has to read is of the system.
    assert not lines_with(outside=("files", "devices"), holds=reads)
