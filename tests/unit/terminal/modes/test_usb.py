# SPDX-License-Identifier: Apache-2.0
"""Which folder is the stick."""

from __future__ import annotations

from pathlib import Path

from terminal.modes.usb import find_stick


def test_a_mounted_folder_is_found(tmp_path: Path) -> None:
    """One or two levels below a root, what is mounted is the stick."""
    stick = tmp_path / "media" / "leader" / "STICK"
    stick.mkdir(parents=True)

    assert find_stick([tmp_path / "media"], lambda folder: folder == stick) == stick


def test_a_plain_folder_is_no_stick(tmp_path: Path) -> None:
    """Nothing is written beside a stick that is not there."""
    (tmp_path / "media" / "STICK").mkdir(parents=True)

    assert find_stick([tmp_path / "media"]) is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A link that pretends to be a stick leads nowhere."""
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "STICK").symlink_to(tmp_path)

    assert find_stick([tmp_path / "media"], lambda _: True) == tmp_path / "media"
    assert find_stick([tmp_path / "media"], lambda folder: folder.name == "STICK") is None


def test_missing_roots_are_no_error(tmp_path: Path) -> None:
    """A system without such folders has no stick."""
    assert find_stick([tmp_path / "none"]) is None
