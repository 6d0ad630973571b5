# SPDX-License-Identifier: Apache-2.0
"""Reading a personalised card back: every file, every right that shows, every key that can be used.

What cannot be proved without a trace is named instead: the card uses TAC key and purchase keys only
inside a committed purchase. INITIALIZE tells their version and nothing of their value; a DEBIT with
a wrong MAC1 is refused whatever key the card holds, and one with a right MAC1 counts a transaction
and leaves a log record. `yika-card doctor --probe` does one on a sample of a box.
"""

from __future__ import annotations

from card.card_keys import CardKeys
from card.commands import get_balance, select_fid, select_name
from card.errors import ReadBackMismatch, StatusError
from card.file_access import read_file
from card.files import FileKind
from card.issuing_errors import CardSwapped
from card.layouts import PUBLIC_DATA, UPDATE_STATE, PublicData
from card.operation import Operation, Outside, exchange
from card.profile import Profile
from card.step import Progress
from card.tap import initialize, presence
from card.volunteer import DeskKeys, public_data, read_composite, read_log
from keys.usage import KeyUsage

_PUBLIC, _SERVICE, _UPDATE = 0x0015, 0x0017, 0x001A
_TEST_PSAM = bytes(6)  # a purchase begun with it and never finished leaves no trace
_CHALLENGE_BYTES = 8
UNPROVED = (KeyUsage.PURCHASE_PSAM, KeyUsage.PURCHASE_SOFT, KeyUsage.TAC)


def read_back(
    profile: Profile, contents: dict[int, bytes], progress: Progress, outside: Outside
) -> Operation[None]:
    """Compare everything on the card with what it was given.

    A card that took updates since may differ where updates write; its log and composite record are
    its own.

    Args:
        profile: Which files there are.
        contents: What they hold, with the application enabled.
        progress: Keys, guard, and how the card is called.
        outside: Where the challenge for the presence key comes from.

    Raises:
        ReadBackMismatch: Something differs; `what` names the file or key.
        CardSwapped: Another card lies there.
    """
    application = profile.application
    response = yield from exchange(select_name(application.name))
    found, due = public_data(response.data), PUBLIC_DATA.parse(contents[_PUBLIC])
    if found.asn != due.asn:
        raise CardSwapped(due.asn.hex().upper(), found.asn.hex().upper())
    yield from progress.prove(application, progress.final_key(application))
    updated = yield from _files(profile, contents, progress.keys)
    if not _same_public(found, due, updated=updated):
        raise ReadBackMismatch("0015")
    yield from read_composite()
    if any((yield from exchange(get_balance())).data):
        raise ReadBackMismatch("balance")
    yield from _keys(profile, progress, outside)
    yield from exchange(select_fid(profile.master_file.fid))
    yield from progress.prove(profile.master_file, progress.final_key(profile.master_file))


def _files(profile: Profile, contents: dict[int, bytes], keys: CardKeys) -> Operation[bool]:
    """Compare the transparent files; return whether the card took updates since."""
    maintenance = keys[KeyUsage.MAINTENANCE]
    held: dict[int, bytes | None] = {}
    for spec in profile.application.files:
        if spec.kind is FileKind.TRANSPARENT and spec.fid != _PUBLIC:
            held[spec.fid] = yield from read_file(spec, len(contents[spec.fid]), maintenance)
    state = held.get(_UPDATE)
    updated = state is not None and UPDATE_STATE.parse(state).update_seq > 0
    for fid, content in held.items():
        if content != contents[fid] and not (updated and fid in (_SERVICE, _UPDATE)):
            raise ReadBackMismatch(f"{fid:04X}")
    return updated


def _same_public(found: PublicData, due: PublicData, *, updated: bool) -> bool:
    if not updated:
        return found == due
    held, wanted = (PUBLIC_DATA.build(data) for data in (found, due))
    start = next(at for at, _, row in PUBLIC_DATA.offsets() if row.name == "valid_to")
    return held[:start] + held[start + 4 :] == wanted[:start] + wanted[start + 4 :]


def _keys(profile: Profile, progress: Progress, outside: Outside) -> Operation[None]:
    keys = progress.keys
    challenge = outside.random(_CHALLENGE_BYTES)
    answer = yield from presence(challenge)
    if answer != keys[KeyUsage.PRESENCE].cg2(challenge):
        raise ReadBackMismatch(KeyUsage.PRESENCE.value)
    for spec in profile.application.keys:
        if spec.usage in (KeyUsage.PURCHASE_PSAM, KeyUsage.PURCHASE_SOFT):
            init = yield from initialize(spec.key_id, _TEST_PSAM)
            if init.key_version != keys.version:
                raise ReadBackMismatch(spec.usage.value)
    # With MACs: the log is there, and the maintenance key is the one at hand.
    desk = DeskKeys(keys[KeyUsage.DESK_READ], keys[KeyUsage.MAINTENANCE], progress.name)
    try:
        yield from read_log(desk, progress.guard, limit=1)
    except StatusError as exc:
        raise ReadBackMismatch("0018") from exc
