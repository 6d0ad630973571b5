# SPDX-License-Identifier: Apache-2.0
"""The import contracts of setup.cfg hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("card", "emv", "keys", "server", "swipe", "terminal")


def test_import_contracts_hold() -> None:
    """Every import contract is kept, also by imports inside functions."""
    linter = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_card_package_exports_nothing() -> None:
    """The server may import `card` without loading a reader: its front door is empty."""
    tree = ast.parse((ROOT / "card" / "__init__.py").read_text(encoding="utf-8"))

    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]

    assert imports == []


def test_every_policy_module_is_under_the_purity_contract() -> None:
    """A new policy.py that setup.cfg forgets makes this test fail."""
    contracts = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    pure = contracts.split("[importlinter:contract:policy-pure]")[1].split("[")[0]

    forgotten = [
        name
        for package in PACKAGES
        for path in (ROOT / package).rglob("policy.py")
        if (name := ".".join(path.relative_to(ROOT).with_suffix("").parts)) not in pure
    ]

    assert forgotten == []
