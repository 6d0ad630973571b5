# SPDX-License-Identifier: Apache-2.0
"""Which slot starts: trials are counted, failures go back, damage is passed over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from terminal.releases import archive, slots
from tests.unit.terminal.releases.publisher import make_wheel


def fill(folder: Path, slot: str, release: int) -> None:
    """Put a release into a slot."""
    wheel = make_wheel(folder / "x.whl", f"release {release}")
    archive.clear(folder / slot)
    archive.unpack(wheel, folder / slot, release, f"0.{release}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a box whose slot a is confirmed with release 1 and b on trial with release 2."""
    fill(tmp_path, "a", 1)
    slots.begin_trial(tmp_path, "a", 1)
    slots.confirm(tmp_path)
    fill(tmp_path, "b", 2)
    slots.begin_trial(tmp_path, "b", 2)
    return tmp_path


def test_three_failed_starts_go_back(folder: Path) -> None:
    """The fourth start on trial without a confirmation starts the version before."""
    starts = [slots.choose(folder) for _ in range(5)]

    assert starts == [folder / "b"] * 3 + [folder / "a"] * 2
    switch = slots.load(folder)
    assert (switch.active, switch.trial, switch.failed) == ("a", False, (2,))
    assert "did not come up" in switch.note


def test_a_confirmed_release_is_not_counted(folder: Path) -> None:
    """After the confirmation any number of starts stays with the release, which is the floor."""
    slots.choose(folder)
    slots.confirm(folder)

    assert [slots.choose(folder) for _ in range(10)] == [folder / "b"] * 10
    assert slots.load(folder).floor == 2
    assert slots.confirm(folder) == slots.load(folder)


def test_a_damaged_slot_is_passed_over(folder: Path) -> None:
    """One wrong byte in the active slot starts the version before; in both, the base."""
    slots.confirm(folder)
    for slot, expected in (("b", folder / "a"), ("a", None)):
        (folder / slot / "terminal" / "__main__.py").write_bytes(b"broken")
        assert slots.choose(folder) == expected


def test_what_is_not_the_program_is_no_trial(folder: Path) -> None:
    """The nightly look for updates runs the same code, and uses up none of its three starts."""
    assert [slots.choose(folder, counts=False) for _ in range(5)] == [folder / "b"] * 5
    assert slots.load(folder).starts == 0


def test_a_new_release_goes_where_nothing_runs(folder: Path) -> None:
    """Beside an intact slot into the other one; beside a damaged one into that."""
    slots.confirm(folder)
    assert slots.spare(folder) == "a"
    (folder / "b" / "terminal" / "__main__.py").write_bytes(b"broken")
    assert slots.spare(folder) == "b"
    assert slots.running(folder) == (1, "0.1")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b'{"active": "../../x"}', b'{"unknown": 1}', b'{"failed": 3}',
        b'{"active": "b", "trial": true, "starts": "3"}', b'{"active": "b", "trial": 1}',
        b'{"active": "b", "floor": null}', b'{"active": "b", "failed": ["2"]}',
    ],
)  # fmt: skip
def test_a_switch_that_cannot_be_read_means_the_base(folder: Path, content: bytes) -> None:
    """Whatever stands in the switch, something starts."""
    (folder / slots.SWITCH).write_bytes(content)

    assert slots.choose(folder) is None


def test_a_disk_that_takes_nothing_keeps_nobody_from_starting(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a start cannot be counted, the release starts all the same."""
    monkeypatch.setattr(slots, "save", _full)

    assert slots.choose(folder) == folder / "b"


def test_a_disk_that_takes_nothing_keeps_nobody_from_going_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three starts the version before runs, also where that cannot be written down."""
    for _ in range(slots.STARTS_MAX):
        slots.choose(folder)
    monkeypatch.setattr(slots, "save", _full)

    assert [slots.choose(folder) for _ in range(2)] == [folder / "a"] * 2


@pytest.mark.parametrize("content", [b"", b"[]", b'{"release": 2, "version": "x", "files": 7}'])
def test_a_manifest_that_cannot_be_read_is_a_damaged_slot(folder: Path, content: bytes) -> None:
    """Whatever stands in a slot's manifest, the version before starts."""
    (folder / "b" / slots.MANIFEST).write_bytes(content)

    assert slots.choose(folder) == folder / "a"


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_going_back_from_the_first_release_is_the_base(folder: Path) -> None:
    """There is always something to go back to: what was installed by hand."""
    slots.go_back(folder, "by hand")
    slots.go_back(folder, "by hand")

    assert slots.choose(folder) is None
    assert slots.running(folder) == (0, "")


def test_failed_releases_are_remembered_in_number(folder: Path) -> None:
    """The list of failed releases is bounded, the newest stay."""
    for number in range(20):
        slots.mark_failed(folder, number, "x")

    assert slots.load(folder).failed == tuple(range(4, 20))
    assert len(json.loads((folder / slots.SWITCH).read_bytes())["failed"]) == 16
