# SPDX-License-Identifier: Apache-2.0
"""Our plain top-level names are ours, and the tree keeps its shape."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("card", "emv", "keys", "server", "swipe", "terminal")
MODULE_LINES_MAX = 500  # beyond this nobody reads a module whole
TEST_LINES_MAX = 600  # tests are read one by one
BANNED = {"utils.py", "util.py", "common.py", "misc.py", "helpers.py"}
LIBRARY_NAMES = {"smartcard.py", "serial.py", "flask.py", "construct.py", "click.py"}


def _sources(*tops: str) -> list[Path]:
    return [path for top in tops for path in sorted((ROOT / top).rglob("*.py"))]


def _outer_nodes(module: ast.Module) -> list[ast.stmt]:
    """Return what stands at the top of a module and in its classes: where tests are."""
    inner = [node.body for node in module.body if isinstance(node, ast.ClassDef)]
    return [*module.body, *(node for body in inner for node in body)]


@pytest.mark.parametrize("name", PACKAGES)
def test_package_is_ours(name: str) -> None:
    """Each generic package name resolves to this distribution, not to a namesake of PyPI."""
    module = importlib.import_module(name)

    assert Path(str(module.__file__)).parent == ROOT / name


def test_namesake_on_pypi_is_not_installed() -> None:
    """PyPI's `emv` would install over ours, so it must be absent."""
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("emv")


def test_mocks_are_not_packaged() -> None:
    """A fielded terminal cannot be pointed at pretend hardware: the wheel has none."""
    packaged = (ROOT / "setup.cfg").read_text(encoding="utf-8").split("[options.packages.find]")[1]
    included = packaged.split("[")[0]

    assert not [top for top in ("hardware_mocks", "tests", "bench", "examples") if top in included]


def test_no_drawer_modules() -> None:
    """No module is named for nothing in particular, and none hides a library."""
    found = [
        path.relative_to(ROOT)
        for path in _sources(*PACKAGES, "hardware_mocks")
        if path.name in BANNED | LIBRARY_NAMES
    ]

    assert found == []


def test_modules_stay_readable() -> None:
    """No module passes the hard stop, data tables excepted."""
    long = {
        str(path.relative_to(ROOT)): count
        for top in (*PACKAGES, "hardware_mocks", "tests", "bench")
        for path in _sources(top)
        if not path.name.endswith("_table.py")
        and (count := len(path.read_text(encoding="utf-8").splitlines()))
        > (TEST_LINES_MAX if top == "tests" else MODULE_LINES_MAX)
    }

    assert long == {}


def test_every_source_file_names_its_licence() -> None:
    """One SPDX line stands first in every module with content."""
    bare = [
        str(path.relative_to(ROOT))
        for path in _sources(*PACKAGES, "hardware_mocks", "tests", "bench", "examples")
        if (text := path.read_text(encoding="utf-8")).strip()
        and not text.startswith(("# SPDX-License-Identifier: Apache-2.0", "#!"))
    ]

    assert bare == []


def test_every_test_states_its_fact() -> None:
    """Each test has a docstring that says what is true when it passes."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in _sources("tests")
        for node in _outer_nodes(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]

    assert silent == []


def test_every_test_directory_is_a_package() -> None:
    """With one missing __init__.py, `import card` would find the test folder."""
    missing = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*")
        if path.is_dir()
        and any(path.glob("*.py"))
        and not (path / "__init__.py").exists()
    ]

    assert missing == []
