# SPDX-License-Identifier: Apache-2.0
"""A card pulled off at every single command and inside every write: old or new, never a mix."""

from __future__ import annotations

import pytest

from hardware_mocks.cardos import state
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.errors import CardGone
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cardos.tear import Moment, Tear
from tests.unit.hardware_mocks.cardos import issuing

COMPOSITE = bytes.fromhex("AA1E") + bytes(range(30))
# More commands than a personalisation sends; the loops end by themselves before.
COMMANDS_MAX = 200


def _history(work: str) -> list[bytes]:
    """Return the written image after each command of an undisturbed run."""
    card, psam = _fresh(work)
    images = [state.dump(card.memory.image)]
    transmit = card.transmit

    def watched(apdu: bytes) -> bytes:
        answer = transmit(apdu)
        images.append(state.dump(card.memory.image))
        return answer

    _run(work, issuing.Session(watched), psam)
    return images


def _fresh(work: str) -> tuple[VirtualCard, issuing.Session]:
    card = VirtualCard(uid=b"YIKA")
    module = VirtualPsam()
    psam = issuing.Session(module.transmit)
    issuing.personalise_psam(psam)
    if work == "tap":
        issuing.personalise(issuing.Session(card.transmit))
        card.reset()
    return card, psam


def _run(work: str, session: issuing.Session, psam: issuing.Session) -> None:
    if work == "tap":
        issuing.tap(session, psam, COMPOSITE)
    else:
        issuing.personalise(session)


def _reduced(written: bytes) -> state.CardImage:
    """Drop what is random by design: the cryptograms of the latest tap."""
    image = state.load(written)
    if image.mf and 0x3F01 in image.mf.children:
        ef = image.mf.children[0x3F01].files.get(0x0002)
        if ef and ef.purse and ef.purse.proof:
            ef.purse.proof.mac = ef.purse.proof.tac = b""
    return image


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("work", ["personalisation", "tap"])
def test_every_cut_leaves_old_or_new(work: str, moment: Moment) -> None:
    """Cut at command k, for every k: the card is as before k or as after k, and can go on."""
    history = [_reduced(written) for written in _history(work)]
    for k in range(COMMANDS_MAX):
        card, psam = _fresh(work)
        session = issuing.Session(card.transmit)
        card.tear(Tear(commands=k, moment=moment))
        try:
            _run(work, session, psam)
        except CardGone:
            card.power_on()
            found = _reduced(state.dump(card.memory.image))
            assert found in (history[k], history[k + 1]), f"cut at command {k}"
            _run(work, session, psam)
        else:
            assert k == len(history) - 1
            break
        finished = _reduced(state.dump(card.memory.image))
        assert _strip(finished) == _strip(history[-1]), f"after a cut at command {k}"


def _strip(image: state.CardImage) -> state.CardImage:
    """Drop purse counter and log: a tap repeated after a lost answer is a second tap."""
    assert image.mf is not None
    application = image.mf.children[0x3F01]
    purse = application.files[0x0002].purse
    assert purse is not None
    purse.offline = 0
    purse.proof = None
    application.files[0x0018].records.clear()
    return image


@pytest.mark.parametrize("moment", list(Moment))
def test_torn_debit_is_whole_or_nothing(moment: Moment) -> None:
    """Cut in the debit: counter, log, record and proof are all there or all missing."""
    card, psam = _fresh("tap")
    session = issuing.Session(card.transmit)
    card.tear(Tear(ins=0x54, moment=moment))
    with pytest.raises(CardGone):
        issuing.tap(session, psam, COMPOSITE)
    card.power_on()
    session.ok(b"\x00\xa4\x04\x00\x06" + issuing.AID)

    mf = card.memory.image.mf
    assert mf is not None
    files = mf.children[0x3F01].files
    purse = files[0x0002].purse
    assert purse is not None
    found = (
        purse.offline,
        len(files[0x0018].records),
        session.ok("00B2AAC800") == COMPOSITE,
        session("805A00090200" + "0008")[1] == 0x9000,
    )
    committed = moment in (Moment.RENAMED, Moment.BEFORE_ANSWER)
    assert found == ((1, 1, True, True) if committed else (0, 0, False, False))


def test_plan_strikes_once() -> None:
    """After its cut a plan is spent: the card works again when power returns."""
    card, _ = _fresh("tap")
    card.tear(Tear(commands=1))
    card.transmit(bytes.fromhex("0084000004"))
    with pytest.raises(CardGone):
        card.transmit(bytes.fromhex("0084000004"))

    card.power_on()
    assert len(card.transmit(bytes.fromhex("0084000004"))) == 6


def test_plan_can_be_dropped() -> None:
    """A plan that is taken back never strikes."""
    card, _ = _fresh("tap")
    card.tear(Tear())
    card.tear(None)

    assert len(card.transmit(bytes.fromhex("0084000004"))) == 6
