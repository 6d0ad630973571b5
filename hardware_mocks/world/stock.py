# SPDX-License-Identifier: Apache-2.0
"""What every world begins with, made once a process: keys, cards, PSAMs, an enrolled server.

Two terminals stand at one site, a third waits in its box. Volunteer 0 has two cards; the last two
cards are one that the server does not know and one whose keys are wrong.
"""

from __future__ import annotations

import datetime as dt
import gc
import hashlib
import pickle
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from card.operation import run
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from hardware_mocks.cardos import state
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cards.connection import connect
from hardware_mocks.cards.fleet import fleet
from hardware_mocks.cards.keyring import keyring
from hardware_mocks.world.clocks import START_MS
from hardware_mocks.world.quick import QuickDatabase
from keys.identity import Identity
from keys.store import FileKeyStore
from keys.usage import DPK_INDEX_PSAM
from server.issuing import branches
from server.issuing.branches import Branch
from server.people.models import CODE, Volunteer
from server.people.policy import volunteer_number
from server.people.services import register_card
from server.schema import upgrade
from server.terminals import notices
from server.terminals.models import Psam, Terminal, TerminalKey
from server.terminals.notices import Signer
from server.terminals.services import (
    NewActivity,
    NewSite,
    add_activity,
    add_site,
    find_terminal,
)

TERMINALS = 3
PSAMS = 5  # one a terminal, one spare that is enrolled to terminal 0, one that nobody knows
PEOPLE = 4
OWNERS = (0, 0, 1, 2, 3)  # of the cards that the server knows
UNKNOWN_CARD, WRONG_CARD = len(OWNERS), len(OWNERS) + 1
# What the bank makes its cards of: nobody's yet.
SPARE_CARDS = tuple(range(len(OWNERS) + 2, len(OWNERS) + 6))
CARDS = len(OWNERS) + 2 + len(SPARE_CARDS)
APPLICANTS = 2  # who have an official number and no card
PARTNER, BRANCH = "BANK", "0755001"
SPARE_PSAM, STRANGE_PSAM = 3, 4
SERVER_KEY_ID = 1
SITE = 1
TZ_Q = 32
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Stock:
    """The things a world is set up from; images are copied, never changed."""

    store: FileKeyStore
    server: Identity
    database: QuickDatabase
    cards: tuple[bytes, ...]
    serials: tuple[bytes, ...]
    psams: tuple[bytes, ...]
    notices: tuple[dict[str, bytes], ...]
    secrets: frozenset[str]


def terminal_id(number: int) -> int:
    """Return the server's number of a terminal."""
    return 1001 + number


def psam_number(number: int) -> bytes:
    """Return the six bytes in a PSAM."""
    return (0x8800_0000_1000 + number).to_bytes(6)


def applicant(number: int) -> str:
    """Return the official number of somebody who waits for a card."""
    return volunteer_number(900_001_000 + number)


@cache
def terminal_identity(number: int) -> Identity:
    """Return the first key of a terminal, always the same one."""
    return Identity.from_seed(_seed(f"terminal {number}"))


@cache
def stock() -> Stock:
    """Make everything once a process: it takes about a second."""
    store = keyring()
    known = fleet(CARDS, store)
    cards = [state.load(card.written) for card in known]
    cards[WRONG_CARD] = _with_other_keys(cards[WRONG_CARD])
    psams = tuple(_psam(store, number) for number in range(PSAMS))
    database = QuickDatabase()
    upgrade(database)
    _populate(database, [card.data.asn for card in known])
    server = Identity.from_seed(_seed("server"))
    first = _notices(database, server)
    database.keep()
    # What lives as long as the process is not looked through again for garbage.
    gc.collect()
    gc.freeze()
    return Stock(
        store=store,
        server=server,
        database=database,
        cards=tuple(pickle.dumps(image) for image in cards),
        serials=tuple(card.data.asn for card in known),
        psams=psams,
        notices=first,
        secrets=_secrets(cards, [pickle.loads(image) for image in psams]),  # noqa: S301 - ours
    )


def _seed(text: str) -> bytes:
    return hashlib.sha256(f"simulated {text}".encode()).digest()


def _with_other_keys(image: state.CardImage) -> state.CardImage:
    """Turn every key of a card round, so that it only looks like ours."""
    assert image.mf is not None
    waiting = [image.mf]
    while waiting:
        folder = waiting.pop()
        waiting += folder.children.values()
        for key in (key for file in folder.files.values() for key in file.keys):
            key.value = bytes(reversed(key.value))
    return image


def _psam(store: FileKeyStore, number: int) -> bytes:
    chip = VirtualPsam()
    data = PsamData(bytes.fromhex(f"0000594999{number:010d}"), psam_number(number))
    run(personalise_psam(data, PsamKeys.from_store(store, data.serial, 1)), connect(chip))
    return pickle.dumps(chip.memory.image)


def _notices(database: QuickDatabase, server: Identity) -> tuple[dict[str, bytes], ...]:
    """Return each terminal's first configuration, as if it had been fetched already."""
    signer = Signer(server, SERVER_KEY_ID)
    with database.writing() as session:
        found = [
            notices.config_notice(session, signer, find_terminal(session, terminal_id(n)), START_MS)
            for n in range(TERMINALS)
        ]
    return tuple({"config": body} for body in found)


def _secrets(cards: list[state.CardImage], psams: list[object]) -> frozenset[str]:
    """Return the keys of all chips in hex: none of it may stand in a log."""
    found = set()
    for card in cards:
        waiting = [card.mf] if card.mf else []
        while waiting:
            folder = waiting.pop()
            waiting += folder.children.values()
            found |= {key.value.hex() for file in folder.files.values() for key in file.keys}
    for image in psams:
        found |= {key.value.hex() for key in getattr(image, "keys", ())}
    return frozenset(text for text in found if len(set(text)) > 2)


def _populate(database: QuickDatabase, serials: list[bytes]) -> None:
    with database.writing() as session:
        add_site(session, NewSite("一站", "Site one"), "li", START_MS)
        add_activity(
            session,
            NewActivity(
                SITE, "A1", "照看花园", "Garden", START_MS - DAY_MS, START_MS + 30 * DAY_MS
            ),
            "li",
            START_MS,
        )
        for number in range(TERMINALS):
            _enrol(session, number)
        session.add(_psam_row(SPARE_PSAM, 0))
        numbers = [volunteer_number(900_000_000 + person) for person in range(PEOPLE)]
        for text in (*numbers, *map(applicant, range(APPLICANTS))):
            session.add(_volunteer(text))
        session.flush()
        for card, owner in enumerate(OWNERS):
            register_card(session, numbers[owner], serials[card].hex(), 1, "li", START_MS)
        opened = Branch(PARTNER, BRANCH, "福田支行", dt.date(2020, 1, 1))
        branches.load(session, [opened], "li", START_MS)


def _enrol(session: sa.orm.Session, number: int) -> None:
    session.add(
        Terminal(
            id=terminal_id(number), name=f"pos-{number}", site_id=SITE, state="active",
            created_by="li", approved_by="wang", config_version=1, created_ms=START_MS,
        )
    )  # fmt: skip
    session.flush()
    identity = terminal_identity(number)
    session.add(
        TerminalKey(
            id=number + 1, terminal_id=terminal_id(number), valid_from_ms=START_MS,
            suite=int(identity.suite), public_key=identity.public_key,
        )
    )  # fmt: skip
    session.add(_psam_row(number, number))


def _psam_row(psam: int, terminal: int) -> Psam:
    return Psam(
        number=psam_number(psam), terminal_id=terminal_id(terminal), dpk_idx=DPK_INDEX_PSAM,
        hardware=True, from_seq=1, state="active", created_by="li", approved_by="wang",
    )  # fmt: skip


def _volunteer(number: str) -> Volunteer:
    return Volunteer(
        number=number, sealed_name=b"", sealed_birth=b"", masked_name="王**",
        created_ms=START_MS, secret_hash="", secret_kind=CODE,
    )  # fmt: skip
