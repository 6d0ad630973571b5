# SPDX-License-Identifier: Apache-2.0
"""The place for a face check."""

from __future__ import annotations

from typing import cast

import pytest

from terminal.devices.absent import NoFaceCheck
from terminal.devices.face import installed, open_face_check
from terminal.devices.protocols import DeviceState, FaceCheck, FaceVerdict
from terminal.errors import ConfigError

ASN = bytes(10)


class Says(NoFaceCheck):
    """A plug-in that says what a test wants."""

    def __init__(self, verdict: object) -> None:
        self.verdict = verdict

    @property
    def state(self) -> DeviceState:
        """Say that it works."""
        return DeviceState.OK

    def check(self, asn: bytes) -> FaceVerdict:
        """Say or raise it."""
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return cast("FaceVerdict", self.verdict)


def opened(verdict: object) -> FaceCheck:
    """Open a plug-in by its name."""
    return open_face_check("test", {"test": lambda: Says(verdict)})


def test_without_a_plug_in_everybody_is_refused() -> None:
    """The default confirms nobody."""
    face = open_face_check("none")

    assert (face.check(ASN), face.state) == (FaceVerdict.REFUSED, DeviceState.NONE)


@pytest.mark.parametrize("verdict", list(FaceVerdict))
def test_a_plug_in_s_verdict_is_passed_on(verdict: FaceVerdict) -> None:
    """What the plug-in says is what the terminal hears."""
    face = opened(verdict)

    assert (face.check(ASN), face.state) == (verdict, DeviceState.OK)


@pytest.mark.parametrize("verdict", [RuntimeError("camera"), OSError("usb"), "same", True, None])
def test_a_plug_in_that_fails_refuses(verdict: object) -> None:
    """An error, or an answer that is no verdict, confirms nobody and shows as a fault."""
    face = opened(verdict)

    assert (face.check(ASN), face.state) == (FaceVerdict.REFUSED, DeviceState.FAULT)


def test_an_unknown_name_stops_the_start() -> None:
    """A name that no package offers is an error of the configuration that lists what there is."""
    with pytest.raises(ConfigError, match="no face check named x"):
        open_face_check("x", {"test": lambda: Says(None)})


def test_a_plug_in_that_cannot_be_made_stops_the_start() -> None:
    """What fails while it is loaded is told by its name."""

    def broken() -> FaceCheck:
        raise ImportError("libcamera")

    with pytest.raises(ConfigError, match="test cannot be loaded"):
        open_face_check("test", {"test": broken})


def test_this_package_offers_none() -> None:
    """No face check comes with the terminal."""
    assert installed() == {}
