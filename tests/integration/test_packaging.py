# SPDX-License-Identifier: Apache-2.0
"""A newcomer's path: build the wheel, install it with one extra, read a card in five lines.

No network: the packages an extra names, and those they name in turn, are linked from where the
tests run into a fresh virtual environment; anything an extra forgets is missing there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.pcsc import PcscStack
from hardware_mocks.pcsc.errors import NamespacesNotPermitted, NeedsRoot
from tests.contracts.connection_cards import issue, make_store
from tests.integration.pcsc.clients import Context

ROOT = Path(__file__).parents[2]
PACKAGES = ("card", "emv", "keys", "server", "swipe", "terminal", "hardware_mocks")
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
TIMEOUT_S = 180.0

BUILD = "import sys; from setuptools.build_meta import build_wheel; print(build_wheel(sys.argv[1]))"

FIVE_LINES = """\
from card.readers import list_readers, open_reader
from card.volunteer import VolunteerCard
reader = open_reader(list_readers()[0])
reader.wait_card(10)
print(VolunteerCard(reader.connect()).identity().masked_name)
"""

NO_READERS = """
import importlib.util
assert importlib.util.find_spec("smartcard") is None
assert importlib.util.find_spec("serial") is None
"""

SERVER_ALONE = NO_READERS + "import server, swipe, server.cli, server.app; print('fine')"

CARD_ALONE = (
    NO_READERS
    + """
import card.apdu, card.cassette, card.declared, card.dump, card.errors, card.files, card.operation
import card.personalise, card.protocol, card.psam, card.readers, card.tap, card.trace, card.updates
import card.volunteer, emv, keys.store, swipe
from card.errors import NoDriver
for name in ("pcsc:Any 00 00", "serial:/dev/null"):
    try:
        card.readers.open_reader(name).wait_card(0)
    except NoDriver as error:
        print(error.advice.en)
"""
)


def _run(argv: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        argv,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source, out = folder / "source", folder / "out"
    source.mkdir()
    out.mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    name = _run([sys.executable, "-c", BUILD, str(out)], source).split()[-1]
    return out / name


def _needed(wheel: Path, extra: str) -> dict[str, Distribution]:
    """Return what the wheel and an extra of it need, and what those need in turn."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        lines = archive.read(name).decode().partition("\n\n")[0].splitlines()
    left = [
        (Requirement(line.partition(": ")[2]), extra)
        for line in lines
        if line.startswith("Requires-Dist: ")
    ]
    found: dict[str, Distribution] = {}
    while left:
        requirement, asked = left.pop()
        marker = requirement.marker
        if marker is not None and not marker.evaluate({"extra": asked}):
            continue
        key = requirement.name.lower().replace("_", "-")
        if key in found and not requirement.extras:
            continue
        found[key] = distribution(requirement.name)
        assert requirement.specifier.contains(found[key].version, prereleases=True), requirement
        for text in found[key].requires or ():
            for own in requirement.extras or {""}:
                left.append((Requirement(text), own))
    return found


def _environment(folder: Path, wheel: Path, extra: str) -> Path:
    """Make a virtual environment with the wheel and the packages of one extra; its Python."""
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], folder.parent)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    _run([*install, "--quiet", "--no-compile", "--no-deps", "--no-index", str(wheel)], folder)
    (site,) = (folder / "lib").glob("python*/site-packages")
    for needed in _needed(wheel, extra).values():
        for top in {file.parts[0] for file in needed.files or () if file.parts[0] != ".."}:
            target = site / top
            if top != "__pycache__" and not target.exists():
                target.symlink_to(Path(str(needed.locate_file(top))))
    return python


def test_the_wheel_holds_the_packages_and_no_mocks(wheel: Path) -> None:
    """Six packages, their data, the licence; nothing of the pretend hardware or the tests."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}

    assert tops == set(PACKAGES) - {"hardware_mocks"}
    assert "card/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.fixture
def one_reader(tmp_path: Path) -> Iterator[PcscStack]:
    """A service with one reader and an issued card on it."""
    stack = PcscStack(["Yika POS A"], tmp_path / "pcsc", private=True)
    stack.workdir.mkdir()
    try:
        stack.start()
    except (NeedsRoot, NamespacesNotPermitted) as exc:
        pytest.skip(str(exc))
    with stack.adopted(), stack.hand() as hand:
        chip = VirtualCard(stack.cards / "card.card")
        issue(make_store(tmp_path), chip)
        chip.power_off()
        hand.insert("pos-a", "card")
        with Context() as context:
            context.wait(stack.reader_of("pos-a"), present=True)
        yield stack
    stack.stop()


@pytest.mark.pcsc
def test_a_card_is_read_in_five_lines(wheel: Path, tmp_path: Path, one_reader: PcscStack) -> None:
    """With the extra `card` alone, in a fresh environment; the commands are installed too."""
    python = _environment(tmp_path / "venv", wheel, "card")
    shown = _run([str(python), "-I", "-c", FIVE_LINES], tmp_path, **one_reader.environment)
    info = _run(
        [str(python.with_name("yika-card")), "info", "--json"], tmp_path, **one_reader.environment
    )

    assert len(FIVE_LINES.splitlines()) == 5
    assert shown == "王**\n"
    assert '"00000000000000000017"' in info


def test_the_server_alone_needs_no_readers(wheel: Path, tmp_path: Path) -> None:
    """With the extra `server` there is no PC/SC and no serial library, and it imports."""
    python = _environment(tmp_path / "venv", wheel, "server")

    assert _run([str(python), "-I", "-c", SERVER_ALONE], tmp_path) == "fine\n"


def test_card_operations_need_no_extra_at_all(wheel: Path, tmp_path: Path) -> None:
    """Everything but the readers' libraries works; those say what to install when first used."""
    python = _environment(tmp_path / "venv", wheel, "")
    shown = _run([str(python), "-I", "-c", CARD_ALONE], tmp_path)

    assert shown.splitlines() == ["run: pip install 'yika[card]'"] * 2
