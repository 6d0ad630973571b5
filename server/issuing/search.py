# SPDX-License-Identifier: Apache-2.0
"""Find people by number, order, name, pinyin or the end of their document.

Names are sealed, so they are found by fingerprints under a key of the store: of the name and its
beginnings, of its pinyin by syllables and of its initials. Whoever has the database alone learns
from them which people share such a beginning, and nothing they could read (ADR 0196).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from itertools import islice, product

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from keys.fingerprint_key import FingerprintKey
from server.applications.models import Application
from server.applications.records import fingerprints
from server.errors import Refused
from server.issuing.models import CardOrder, SearchIndexed, SearchPrint
from server.people import personal
from server.people.models import Volunteer
from server.people.personal import Reader

PRINT_BYTES = 8
READINGS_MAX = 4  # of the first character: surnames are read in several ways
NAME_CHARS = 8  # of a name that are indexed; longer ones are found by their beginning
FOUND_MAX = 50
QUERY_MAX = 64
INDEX_REASON = "search index"
_LATIN = re.compile(r"[a-z]+")
_TAIL = re.compile(r"[0-9]{3}[0-9X]")


def words(name: str) -> set[str]:
    """Return what a name is to be found by.

    >>> sorted(words("单田"))
    ['c', 'chan', 'chantian', 'ct', 'd', 'dan', 'dantian', 'dt', 's', 'shan', 'shantian', 'st', \
'单', '单田']
    """
    plain = "".join(name.lower().split())[:NAME_CHARS]
    found = {plain[: end + 1] for end in range(len(plain))}
    for syllables in _readings(plain):
        for end in range(1, len(syllables) + 1):
            found.add("".join(syllables[:end]))
            found.add("".join(one[0] for one in syllables[:end]))
    return found


def _readings(name: str) -> Iterator[list[str]]:
    """Give the pinyin of a name syllable by syllable, each reading of the first character."""
    # Its tables are half a second and 50 MB: only who reads a name loads them.
    pypinyin = importlib.import_module("pypinyin")
    style = pypinyin.Style.NORMAL
    read: list[list[str]] = pypinyin.pinyin(name, style=style, heteronym=True, errors="default")
    spoken = [[one for one in each if _LATIN.fullmatch(one)] for each in read]
    if not spoken or not all(spoken):
        return
    ways = [spoken[0][:READINGS_MAX], *([each[0]] for each in spoken[1:])]
    for way in islice(product(*ways), READINGS_MAX):
        yield list(way)


def index_new(session: Session, store: KeyStore, now_ms: int, limit: int = 200) -> int:
    """Index people who are not yet; each opening of a name is on the audit trail."""
    people = session.scalars(
        sa.select(Volunteer)
        .outerjoin(SearchIndexed, SearchIndexed.volunteer_id == Volunteer.id)
        .where(SearchIndexed.volunteer_id.is_(None), Volunteer.erased_ms.is_(None))
        .order_by(Volunteer.id)
        .limit(limit)
    ).all()
    if not people:
        return 0
    key = fingerprints(session, store)
    for person in people:
        session.add(SearchIndexed(volunteer_id=person.id, at_ms=now_ms))
        try:
            reader = Reader("system", INDEX_REASON, now_ms)
            name = personal.identity(session, store, person, reader).name
        except Refused:
            continue  # erased: nothing is left to be found by
        session.add_all(
            SearchPrint(volunteer_id=person.id, print=_print(key, word)) for word in words(name)
        )
    return len(people)


def forget_erased(session: Session) -> int:
    """Take people whose data was erased out of the index."""
    gone = sa.select(Volunteer.id).where(Volunteer.erased_ms.is_not(None))
    removed = session.execute(
        sa.delete(SearchPrint)
        .where(SearchPrint.volunteer_id.in_(gone))
        .returning(SearchPrint.volunteer_id)
        .execution_options(synchronize_session=False)
    ).all()
    return len(removed)


def find(session: Session, store: KeyStore, query: str, limit: int = FOUND_MAX) -> list[int]:
    """Return ids of volunteers whom a query may mean, the surest first.

    A number of 10 digits, an order of 12, the last four of a document, a name or its pinyin.
    """
    wanted = "".join(query.split())[:QUERY_MAX]
    if not wanted:
        return []
    ids: list[int] = []
    for chosen in _ways(session, store, wanted):
        ids += [found for found in session.scalars(chosen.limit(limit)) if found not in ids]
    return ids[:limit]


def _ways(session: Session, store: KeyStore, wanted: str) -> Iterator[sa.Select[int]]:
    yield sa.select(Volunteer.id).where(Volunteer.number == wanted.upper())
    if wanted.isascii() and wanted.isdigit():
        yield sa.select(CardOrder.volunteer_id).where(CardOrder.order_no == wanted)
    if _TAIL.fullmatch(wanted.upper()):
        yield (
            sa.select(Application.volunteer_id)
            .where(Application.document_tail == wanted.upper())
            .order_by(Application.volunteer_id)
        )
    if not wanted.isdigit():
        print_ = _print(fingerprints(session, store), wanted.lower())
        yield (
            sa.select(SearchPrint.volunteer_id)
            .where(SearchPrint.print == print_)
            .order_by(SearchPrint.volunteer_id)
        )


def _print(key: FingerprintKey, word: str) -> bytes:
    return key.of("search", word)[:PRINT_BYTES]
