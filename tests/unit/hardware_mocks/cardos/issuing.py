# SPDX-License-Identifier: Apache-2.0
"""A volunteer card issued and tapped with raw APDUs: the tests' own reading of the specification.

Nothing here is shared with the card SDK. Keys are fixed and public: they belong to test cards.
"""

from __future__ import annotations

from collections.abc import Callable

from hardware_mocks.cardos import crypto

AID = bytes.fromhex("F059494B4101")
TRANSPORT = b"\xff" * 16
ASN = bytes.fromhex("00005949000000000017")
PSAM_NO = bytes.fromhex("000059490001")
PSAM_MASTER = bytes.fromhex("0F0E0D0C0B0A09080706050403020100")

CONTROL = bytes(range(0x10, 0x20))
DESK_READ = bytes(range(0x20, 0x30))
MAINTENANCE = bytes(range(0x30, 0x40))
PURCHASE_SOFT = bytes(range(0x40, 0x50))
TAC = bytes(range(0x50, 0x60))
PRESENCE = bytes(range(0x60, 0x70))
CARD_CONTROL = bytes(range(0x70, 0x80))
PURCHASE_PSAM = crypto.diversify(PSAM_MASTER, ASN[2:])

MF = "80E03F000D38FFFFF0F001FFFFFFFFFFFFFF"
MF_KEY_FILE = "80E00000073F010001FFFFFF"
ADF = "80E03F010E38FFFFFFFF95FFFF" + AID.hex()
ADF_KEY_FILE = "80E00000073F010095FFFFFF"
FILES = (
    "80E0001507A80038F0FFFFFF",
    "80E0001607A80080F2FFFFFF",
    "80E0001707A80060F2FFFFFF",
    "80E00018072E1E17F1EFFF7F",
    "80E00019072C0040F0FFFFFF",
    "80E00002072F0208F000FF18",
)
EMPTY_RECORD = bytes.fromhex("AA1E") + bytes(30)


def face() -> bytes:
    """Return the content of file 0015 of the test card (56 bytes)."""
    return (
        bytes.fromhex("59494B41000000010101")
        + ASN
        + bytes.fromhex("2026010120310101000019900217")
        + "义*".encode("gb18030").ljust(20, b"\x00")
        + bytes((0x00, 0x01))
    )


class Session:
    """Sends APDUs to a card in either transport mode and remembers how many it sent."""

    def __init__(self, transmit: Callable[[bytes], bytes]) -> None:
        self._transmit = transmit
        self.sent = 0

    def __call__(self, apdu: bytes | str) -> tuple[bytes, int]:
        """Send one command, follow 61xx and 6Cxx, return data and status word."""
        apdu = bytes.fromhex(apdu) if isinstance(apdu, str) else apdu
        data, sw = self._once(apdu)
        if sw >> 8 == 0x6C:
            data, sw = self._once(apdu[:4] + bytes((sw & 0xFF,)))
        while sw >> 8 == 0x61:
            more, sw = self._once(bytes((0x00, 0xC0, 0x00, 0x00, sw & 0xFF)))
            data += more
        return data, sw

    def _once(self, apdu: bytes) -> tuple[bytes, int]:
        self.sent += 1
        answer = self._transmit(apdu)
        return answer[:-2], int.from_bytes(answer[-2:], "big")

    def ok(self, apdu: bytes | str) -> bytes:
        """Send one command that must end with 9000."""
        data, sw = self(apdu)
        assert sw == 0x9000, f"{sw:04X}"
        return data

    def iv(self) -> bytes:
        """Fetch a challenge and make it an initial value."""
        return self.ok("0084000004") + bytes(4)

    def authenticate(self, key: bytes, number: int = 0) -> int:
        """EXTERNAL AUTHENTICATE with key 39/number; return the status word."""
        cryptogram = crypto.encrypt(key, self.iv())
        return self(bytes((0x00, 0x82, 0x00, number, 8)) + cryptogram)[1]

    def write_key(self, control: bytes, p1: int, p2: int, record: bytes) -> tuple[bytes, int]:
        """WRITE KEY encrypted and MACed under the control key."""
        plain = crypto.pad_if_needed(bytes((len(record),)) + record)
        return self.protected(control, bytes((0x84, 0xD4, p1, p2)), crypto.encrypt(control, plain))

    def protected(self, key: bytes, header: bytes, data: bytes = b"") -> tuple[bytes, int]:
        """Send a command whose data carry a MAC."""
        iv = self.iv()
        signed = header + bytes((len(data) + 4,)) + data
        return self(signed + crypto.message_mac(key, iv, signed))


def key_record(head: str, key: bytes) -> bytes:
    """Return a key record: five header bytes and the key."""
    return bytes.fromhex(head) + key


def personalise(session: Session) -> None:
    """Issue the test card, from whatever state an earlier, torn attempt left it in."""
    _, sw = session("00A40000023F00")
    if sw == 0x6A81:
        session.ok(MF)
    control = _open(session, CARD_CONTROL, MF_KEY_FILE)
    if session(b"\x00\xa4\x04\x00\x06" + AID)[1] == 0x6A82:
        session.ok("00A40000023F00")
        _authenticate_either(session, CARD_CONTROL)
        session.ok(ADF)
    if control == TRANSPORT:
        session.ok("00A40000023F00")
        assert session.authenticate(TRANSPORT) == 0x9000
        _replace_control(session, CARD_CONTROL)
    session.ok(b"\x00\xa4\x04\x00\x06" + AID)
    _application(session)


def _open(session: Session, final: bytes, key_file: str) -> bytes:
    """Make sure the current directory has a control key and prove it; return the key."""
    sw = session(key_file)[1]
    if sw in (0x9000, 0x6A86):
        sw = session(b"\x80\xd4\x01\x00\x15" + key_record("39F0FF0F33", TRANSPORT))[1]
    return _authenticate_either(session, final)


def _authenticate_either(session: Session, final: bytes) -> bytes:
    for key in (final, TRANSPORT):
        if session.authenticate(key) == 0x9000:
            return key
    message = "neither the final nor the transport key is on the card"
    raise AssertionError(message)


def _replace_control(session: Session, final: bytes) -> None:
    _, sw = session.write_key(TRANSPORT, 0x39, 0x00, key_record("39F0FF0F33", final))
    assert sw == 0x9000, f"{sw:04X}"


KEYS = (
    (0x39, 0x01, "39F0FF0233", DESK_READ),
    (0x36, 0x00, "36F0FFFF33", MAINTENANCE),
    (0x3E, 0x01, "3EF0FF0100", PURCHASE_PSAM),
    (0x3E, 0x02, "3EF0FF0100", PURCHASE_SOFT),
    (0x34, 0x00, "34F0FF0100", TAC),
    (0x30, 0x01, "30F0FF0100", PRESENCE),
)


def _application(session: Session) -> None:
    control = _open(session, CONTROL, ADF_KEY_FILE)
    for kind, number, head, key in KEYS:
        record = key_record(head, key)
        if session.write_key(control, kind, number, record)[1] == 0x6A88:
            assert session.write_key(control, 0x01, number, record)[1] == 0x9000
    for create in FILES:
        assert session(create)[1] in (0x9000, 0x6A86)
    for sfi, content in ((0x15, face()), (0x16, bytes(128)), (0x17, bytes(96))):
        header = bytes((0x04, 0xD6, 0x80 | sfi, 0x00))
        assert session.protected(MAINTENANCE, header, content)[1] == 0x9000
    if session("00B2AAC800")[1] == 0x6A83:
        session.ok(b"\x00\xe2\x00\xcc\x20" + EMPTY_RECORD)
    if control == TRANSPORT:
        _replace_control(session, CONTROL)


def personalise_psam(session: Session) -> None:
    """Issue the test PSAM, from whatever state an earlier, torn attempt left it in."""
    session.ok("00A40000023F00")
    if session(b"\x00\xd6\x95\x00\x0e" + b"PSAM000001" + bytes((1, 1, 0, 0)))[1] == 0x9000:
        session.ok(b"\x00\xd6\x96\x00\x06" + PSAM_NO)
    session.ok("00A4000002DF01")
    record = bytes.fromhex("220100") + PSAM_MASTER
    if session.write_key(TRANSPORT, 0x01, 0x01, record)[1] == 0x9000:
        control = bytes.fromhex("390100") + CONTROL
        assert session.write_key(TRANSPORT, 0x39, 0x00, control)[1] == 0x9000


def tap(session: Session, psam: Session, composite: bytes, when: str = "20261121090000") -> bytes:
    """Do one whole tap with a hardware PSAM and return TAC and MAC2."""
    session.ok(b"\x00\xa4\x04\x00\x06" + AID)
    session.ok("00B2AAC800")
    session.ok("00880001080102030405060708")
    init = session.ok(b"\x80\x50\x03\x02\x0b\x01" + bytes(4) + PSAM_NO)
    moment = bytes.fromhex(when)
    psam.ok("00A4000002DF01")
    request = init[11:15] + init[4:6] + bytes(4) + b"\x09" + moment + init[9:11] + ASN[2:]
    grant = psam.ok(b"\x80\x70\x00\x00\x1c" + request)
    session.ok(b"\x80\xdc\xaa\xc8\x20" + composite)
    answer = session.ok(b"\x80\x54\x01\x00\x0f" + grant[:4] + moment + grant[4:])
    psam.ok(b"\x80\x72\x00\x00\x04" + answer[4:])
    return answer
