# SPDX-License-Identifier: Apache-2.0
"""Each attack on the release repository is refused by its name, and the old state stays."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from keys.identity import Identity
from server.fleet.release_keys import ReleaseSigner
from terminal.errors import Refused
from terminal.releases import trust
from terminal.releases.faults import Fault, UpdateRefused
from terminal.releases.installing import Installer, newest
from terminal.releases.mirror import Mirror
from tests.unit.terminal.releases.publisher import (
    DAY_MS,
    NOW,
    NOW_MS,
    Lines,
    Publisher,
    box,
)


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    """Return a publisher that offers release 1."""
    made = Publisher(tmp_path)
    made.release(1)
    return made


def refused(installer: Installer, signed_ms: int = NOW_MS) -> Fault:
    """Return why the repository is not believed."""
    with pytest.raises(UpdateRefused) as caught:
        installer.check(signed_ms)
    return caught.value.fault


def test_what_two_people_signed_is_offered(publisher: Publisher, tmp_path: Path) -> None:
    """A release signed by both people is found, with its number and version."""
    offer = box(tmp_path / "box", publisher, publisher.lines()).check(NOW_MS)

    assert (offer.release, offer.version) == (1, "0.1.0")


def test_one_of_two_signatures_is_not_enough(publisher: Publisher, tmp_path: Path) -> None:
    """Targets that only one of two people signed are refused."""
    targets = json.loads(publisher.file("2.targets.json"))
    targets["signatures"] = targets["signatures"][:1]
    lines = Lines(publisher.repo.folder, {"2.targets.json": json.dumps(targets).encode()})

    assert refused(box(tmp_path / "box", publisher, lines)) is Fault.SIGNATURE


def test_one_signature_twice_is_one(publisher: Publisher, tmp_path: Path) -> None:
    """The same person's signature given twice does not make two."""
    targets = json.loads(publisher.file("2.targets.json"))
    targets["signatures"] = [targets["signatures"][0]] * 2
    lines = Lines(publisher.repo.folder, {"2.targets.json": json.dumps(targets).encode()})

    assert refused(box(tmp_path / "box", publisher, lines)) in (Fault.SIGNATURE, Fault.BROKEN)


def test_a_stranger_s_keys_are_refused(publisher: Publisher, tmp_path: Path) -> None:
    """A whole repository signed with other keys is refused by a box that knows the root."""
    (tmp_path / "other").mkdir()
    stranger = Publisher(tmp_path / "other")
    for role, seed in (("first", 7), ("second", 8), ("online", 9)):
        setattr(stranger, role, ReleaseSigner(Identity.from_seed(bytes([seed]) * 32)))
    stranger.repo.begin(stranger.roles(), NOW)
    stranger.sign()
    stranger.release(5)

    assert refused(box(tmp_path / "box", publisher, stranger.lines())) is Fault.SIGNATURE


def test_an_older_timestamp_is_a_rollback(publisher: Publisher, tmp_path: Path) -> None:
    """Metadata that was true once is refused after something newer was seen."""
    old = publisher.file("timestamp.json")
    publisher.release(2)
    installer = box(tmp_path / "box", publisher, publisher.lines())
    installer.check(NOW_MS)
    liar = box(tmp_path / "box", publisher, Lines(publisher.repo.folder, {"timestamp.json": old}))

    assert refused(liar) is Fault.ROLLBACK
    assert installer.check(NOW_MS).release == 2


def test_a_snapshot_with_older_targets_is_a_rollback(publisher: Publisher, tmp_path: Path) -> None:
    """A new snapshot that points back to older targets is refused."""
    publisher.release(2)
    installer = box(tmp_path / "box", publisher, publisher.lines())
    installer.check(NOW_MS)
    publisher.repo._point(2, NOW)
    publisher.sign()

    assert refused(installer) is Fault.ROLLBACK


def test_a_frozen_repository_expires(publisher: Publisher, tmp_path: Path) -> None:
    """The same timestamp shown for longer than its life is refused, by the server's time."""
    installer = box(tmp_path / "box", publisher, publisher.lines())

    assert installer.check(NOW_MS + 89 * DAY_MS).release == 1
    assert refused(installer, NOW_MS + 91 * DAY_MS) is Fault.EXPIRED


def test_a_refreshed_repository_lives_on(publisher: Publisher, tmp_path: Path) -> None:
    """A refresh signed by the timestamp's key alone lengthens the life."""
    publisher.repo.refresh(NOW + dt.timedelta(days=80))
    publisher.sign(publisher.online)

    later = NOW_MS + 100 * DAY_MS
    assert box(tmp_path / "box", publisher, publisher.lines()).check(later).release == 1


def test_without_signed_time_nothing_is_taken(publisher: Publisher, tmp_path: Path) -> None:
    """A terminal that never had a receipt cannot judge an expiry, and says so."""
    assert refused(box(tmp_path / "box", publisher, publisher.lines()), 0) is Fault.NO_TIME


@pytest.mark.parametrize(
    ("shown", "instead"),
    [("3.targets.json", "2.targets.json"), ("3.snapshot.json", "2.snapshot.json")],
)
def test_parts_of_different_releases_do_not_mix(
    publisher: Publisher, tmp_path: Path, shown: str, instead: str
) -> None:
    """A genuine older file in the place of the one that is told of is refused."""
    publisher.release(2)
    lines = Lines(publisher.repo.folder, {shown: publisher.file(instead)})

    assert refused(box(tmp_path / "box", publisher, lines)) is Fault.MIXED


def test_one_role_is_not_shown_for_another(publisher: Publisher, tmp_path: Path) -> None:
    """A snapshot in the place of the timestamp is refused, though the same key signed both."""
    lines = Lines(publisher.repo.folder, {"timestamp.json": publisher.file("2.snapshot.json")})

    assert refused(box(tmp_path / "box", publisher, lines)) is Fault.BROKEN


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.targets.json"])
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", Fault.BROKEN),
        (b"{}", Fault.BROKEN),
        (b"[" * 20_000, Fault.ENDLESS),
        (b"[" * 9_000, Fault.BROKEN),
        (b"\xff\xfe", Fault.BROKEN),
        (b" " * 2_000_000, Fault.ENDLESS),
        (None, Fault.MISSING),
    ],
)
def test_garbage_is_named(
    publisher: Publisher, tmp_path: Path, name: str, body: bytes | None, fault: Fault
) -> None:
    """Whatever stands in the place of a metadata file is refused with a name, never a crash."""
    found = refused(box(tmp_path / "box", publisher, Lines(publisher.repo.folder, {name: body})))

    assert found is fault or (found, fault) == (Fault.BROKEN, Fault.ENDLESS)


def test_new_keys_are_taken_when_the_old_ones_sign(publisher: Publisher, tmp_path: Path) -> None:
    """After a change of both keys a box that knew the first root believes the new ones."""
    installer = box(tmp_path / "box", publisher, publisher.lines())
    installer.check(NOW_MS)
    fresh = [ReleaseSigner(Identity.from_seed(bytes([n]) * 32)) for n in (21, 22)]
    publisher.repo.begin(publisher.roles(*fresh), NOW)
    publisher.sign(publisher.first, publisher.second, *fresh)
    publisher.first, publisher.second = fresh
    publisher.release(2)

    assert installer.check(NOW_MS).release == 2


def test_new_keys_without_the_old_ones_are_refused(publisher: Publisher, tmp_path: Path) -> None:
    """A root that only the new keys signed is nobody's."""
    fresh = [ReleaseSigner(Identity.from_seed(bytes([n]) * 32)) for n in (21, 22)]
    publisher.repo.begin(publisher.roles(*fresh), NOW)
    publisher.sign(*fresh)

    assert refused(box(tmp_path / "box", publisher, publisher.lines())) is Fault.SIGNATURE


def test_roots_without_end_are_refused(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that always has one more root does not keep a terminal busy for ever."""
    monkeypatch.setattr(trust, "ROOTS_MAX", 3)
    for _ in range(4):
        publisher.repo.begin(publisher.roles(), NOW)
        for signer in (publisher.first, publisher.second):
            document = publisher.repo.newest("root")
            assert document is not None
            document.sign(signer, append=True)
            publisher.repo._write(document, f"{document.signed.version}.root.json")

    assert refused(box(tmp_path / "box", publisher, publisher.lines())) is Fault.ENDLESS


def test_a_replaced_timestamp_key_is_forgotten(publisher: Publisher, tmp_path: Path) -> None:
    """What a stolen timestamp key numbered far ahead does not lock the box out for ever."""
    installer = box(tmp_path / "box", publisher, publisher.lines())
    for _ in range(5):
        publisher.repo.refresh(NOW)
    publisher.sign(publisher.online)
    installer.check(NOW_MS)
    publisher.online = ReleaseSigner(Identity.from_seed(bytes([31]) * 32))
    publisher.repo.begin(publisher.roles(), NOW)
    (publisher.repo.metadata / "timestamp.json").unlink()
    publisher.repo.refresh(NOW)
    publisher.sign()

    assert installer.check(NOW_MS).release == 1


def test_the_first_root_is_taken_once(publisher: Publisher, tmp_path: Path) -> None:
    """A box that has a root takes no other by hand; garbage is no root."""
    installer = box(tmp_path / "box", publisher, publisher.lines())

    with pytest.raises(UpdateRefused) as caught:
        installer.trust.establish(publisher.file("1.root.json"))
    assert caught.value.fault is Fault.ROLLBACK
    with pytest.raises(UpdateRefused):
        Installer(tmp_path / "b2", Mirror(publisher.lines()), str).trust.establish(b"{}")


def test_a_box_without_root_says_so(publisher: Publisher, tmp_path: Path) -> None:
    """Without a trusted root nothing is asked of the server."""
    lines = publisher.lines()

    assert refused(Installer(tmp_path / "box", Mirror(lines), str)) is Fault.NO_TRUST
    assert lines.asked == []


def test_a_target_that_is_no_release_is_named(publisher: Publisher, tmp_path: Path) -> None:
    """Targets of other kinds are passed over; a release without a number is broken."""
    targets = box(tmp_path / "box", publisher, publisher.lines()).trust.refresh(
        Mirror(publisher.lines()), NOW_MS
    )
    target = next(iter(targets.targets.values()))
    target.unrecognized_fields["custom"] = {"kind": "terminal", "release": "2", "version": "x"}
    with pytest.raises(UpdateRefused) as caught:
        newest(targets)
    assert caught.value.fault is Fault.BROKEN
    target.unrecognized_fields["custom"] = {"kind": "poster"}
    with pytest.raises(UpdateRefused) as caught:
        newest(targets)
    assert caught.value.fault is Fault.NOTHING


def test_a_refusal_of_the_server_is_its_own(publisher: Publisher) -> None:
    """A status other than 404 is the server's trouble, not the repository's."""

    class Busy:
        def send(self, request: object) -> bytes:
            raise Refused(503, "busy")

    with pytest.raises(Refused):
        Mirror(Busy()).metadata("timestamp.json", 100)
