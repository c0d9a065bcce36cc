"""The scripts that make the pages, which are no package."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="session")
def script():
    """Return `script(name)`, the module that docs/NAME.py is."""

    def load(name):
        specification = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)  # where a script finds what it shares with others
        yield load
