# SPDX-License-Identifier: Apache-2.0
"""One function per card command; each returns the APDU and does nothing else.

Dialect: FMCOS 2.0 (user manual chapters 7 and 8, the composite purchase in 8.9); ISO/IEC 7816-4
where FMCOS follows it. Short file identifiers (SFI) are numbers 1 to 30.
"""

from __future__ import annotations

from card.apdu import LE_MAX, CommandApdu

CAPP_PURCHASE = 0x09  # transaction type of a composite purchase, in MAC1, TAC and the log
CAPP_INIT_BYTES = 15
DEBIT_ANSWER_BYTES = 8

_SFI_FLAG = 0x80
_BY_NUMBER = 0x04
_NEXT = 0x03


def select_fid(fid: int) -> CommandApdu:
    """SELECT a file or directory by its identifier.

    >>> select_fid(0x3F00).to_bytes().hex().upper()
    '00A40000023F0000'
    """
    return CommandApdu(0x00, 0xA4, 0x00, 0x00, fid.to_bytes(2, "big"), LE_MAX)


def select_name(name: bytes) -> CommandApdu:
    """SELECT an application by its name (AID)."""
    return CommandApdu(0x00, 0xA4, 0x04, 0x00, name, LE_MAX)


def read_binary(sfi: int, offset: int, size: int) -> CommandApdu:
    """READ BINARY of a transparent file by SFI.

    >>> read_binary(0x15, 0, 30).to_bytes().hex().upper()
    '00B095001E'
    """
    return CommandApdu(0x00, 0xB0, _SFI_FLAG | sfi, offset, le=size)


def update_binary(sfi: int, offset: int, data: bytes) -> CommandApdu:
    """UPDATE BINARY of a transparent file by SFI."""
    return CommandApdu(0x00, 0xD6, _SFI_FLAG | sfi, offset, data)


def read_current(offset: int, size: int) -> CommandApdu:
    """READ BINARY of the current transparent file, at any offset.

    >>> read_current(0x0600, 6).to_bytes().hex().upper()
    '00B0060006'
    """
    return CommandApdu(0x00, 0xB0, offset >> 8, offset & 0xFF, le=size)


def update_current(offset: int, data: bytes) -> CommandApdu:
    """UPDATE BINARY of the current transparent file, at any offset."""
    return CommandApdu(0x00, 0xD6, offset >> 8, offset & 0xFF, data)


def read_record(sfi: int, number: int, size: int = LE_MAX) -> CommandApdu:
    """READ RECORD by number; record 1 of a cyclic file is the newest.

    >>> read_record(0x18, 1, 0x17).to_bytes().hex().upper()
    '00B201C417'
    """
    return CommandApdu(0x00, 0xB2, number, sfi << 3 | _BY_NUMBER, le=size)


def read_record_by_tag(sfi: int, tag: int, size: int = LE_MAX) -> CommandApdu:
    """READ RECORD of a variable-record file by the first byte of the record.

    >>> read_record_by_tag(0x19, 0xAA, 0x20).to_bytes().hex().upper()
    '00B2AAC820'
    """
    return CommandApdu(0x00, 0xB2, tag, sfi << 3, le=size)


def append_record(sfi: int, record: bytes) -> CommandApdu:
    """APPEND RECORD to a record file."""
    return CommandApdu(0x00, 0xE2, 0x00, sfi << 3 | _BY_NUMBER, record)


def append_cyclic(sfi: int, record: bytes) -> CommandApdu:
    """UPDATE RECORD that puts a record in front of a cyclic file (FMCOS 7.8).

    >>> append_cyclic(0x18, b"ab").to_bytes().hex().upper()
    '00DC00C3026162'
    """
    return CommandApdu(0x00, 0xDC, 0x00, sfi << 3 | _NEXT, record)


def update_record(sfi: int, number: int, record: bytes) -> CommandApdu:
    """UPDATE RECORD by number."""
    return CommandApdu(0x00, 0xDC, number, sfi << 3 | _BY_NUMBER, record)


def update_record_by_tag(sfi: int, record: bytes) -> CommandApdu:
    """UPDATE RECORD of a variable-record file; its first byte says which record."""
    return CommandApdu(0x00, 0xDC, record[0], sfi << 3, record)


def get_challenge(size: int = 4) -> CommandApdu:
    """GET CHALLENGE: random bytes that are good for the next command only."""
    return CommandApdu(0x00, 0x84, 0x00, 0x00, le=size)


def external_authenticate(key_id: int, cryptogram: bytes) -> CommandApdu:
    """EXTERNAL AUTHENTICATE: the challenge, filled up with zeros, under key 39/`key_id`."""
    return CommandApdu(0x00, 0x82, 0x00, key_id, cryptogram)


def internal_authenticate(key_id: int, data: bytes) -> CommandApdu:
    """INTERNAL AUTHENTICATE in encrypting mode with key 30/`key_id`.

    The manual announces no Le although data come back; none is sent.

    >>> internal_authenticate(1, bytes.fromhex("0102030405060708")).to_bytes().hex()
    '00880001080102030405060708'
    """
    return CommandApdu(0x00, 0x88, 0x00, key_id, data)


def create_file(fid: int, control: bytes) -> CommandApdu:
    """CREATE FILE; `control` is its file control information, for a directory with its name."""
    return CommandApdu(0x80, 0xE0, fid >> 8, fid & 0xFF, control)


def write_key(p1: int, key_id: int, data: bytes) -> CommandApdu:
    """WRITE KEY: P1 01 adds a key, P1 = key type replaces one."""
    return CommandApdu(0x80, 0xD4, p1, key_id, data)


def erase_df() -> CommandApdu:
    """ERASE DF: delete everything in the current directory."""
    return CommandApdu(0x80, 0x0E, 0x00, 0x00)


def card_block() -> CommandApdu:
    """CARD BLOCK, to be sent with a MAC: nothing answers any more, for good."""
    return CommandApdu(0x80, 0x16, 0x00, 0x00)


def application_unblock() -> CommandApdu:
    """APPLICATION UNBLOCK, to be sent with a MAC; three wrong ones block for good."""
    return CommandApdu(0x80, 0x18, 0x00, 0x00)


def application_block(p2: int) -> CommandApdu:
    """APPLICATION BLOCK, to be sent with a MAC: P2 00 until it is unblocked, 01 for good."""
    return CommandApdu(0x80, 0x1E, 0x00, p2)


def get_balance(which: int = 0x02) -> CommandApdu:
    """GET BALANCE of the passbook (EF 0001) or the electronic purse (EF 0002)."""
    return CommandApdu(0x80, 0x5C, 0x00, which, le=4)


def initialize_capp(key_index: int, amount: int, psam_no: bytes) -> CommandApdu:
    """INITIALIZE FOR CAPP PURCHASE.

    Args:
        key_index: Purchase key 3E/index.
        amount: In the purse's unit; a volunteer's tap takes 0.
        psam_no: Terminal number of the PSAM, 6 bytes.

    >>> initialize_capp(1, 0, bytes.fromhex("001122334455")).to_bytes().hex()
    '805003020b01000000000011223344550f'
    """
    data = bytes([key_index]) + amount.to_bytes(4, "big") + psam_no
    return CommandApdu(0x80, 0x50, 0x03, 0x02, data, CAPP_INIT_BYTES)


def update_capp(sfi: int, record: bytes) -> CommandApdu:
    """UPDATE CAPP DATA CACHE: the record, known by its first byte, that DEBIT will commit."""
    return CommandApdu(0x80, 0xDC, record[0], sfi << 3, record)


def debit_capp(psam_seq: int, date: bytes, time: bytes, mac1: bytes) -> CommandApdu:
    """DEBIT FOR CAPP PURCHASE.

    >>> debit_capp(0, bytes.fromhex("20161216"), bytes.fromhex("134600"),
    ...     bytes.fromhex("D45737C5")).to_bytes().hex().upper()
    '805401000F0000000020161216134600D45737C508'
    """
    data = psam_seq.to_bytes(4, "big") + date + time + mac1
    return CommandApdu(0x80, 0x54, 0x01, 0x00, data, DEBIT_ANSWER_BYTES)


def get_transaction_prove(card_ctr: int, kind: int = CAPP_PURCHASE) -> CommandApdu:
    """GET TRANSACTION PROVE of the transaction with this counter, a composite purchase or other.

    >>> get_transaction_prove(7).to_bytes().hex().upper()
    '805A000902000708'
    """
    number = card_ctr.to_bytes(2, "big")
    return CommandApdu(0x80, 0x5A, 0x00, kind, number, DEBIT_ANSWER_BYTES)


def init_sam_for_purchase(data: bytes) -> CommandApdu:
    """INIT SAM FOR PURCHASE, to a PSAM: it steps its number and answers with it and MAC1."""
    return CommandApdu(0x80, 0x70, 0x00, 0x00, data, 8)


def credit_sam_for_purchase(mac2: bytes) -> CommandApdu:
    """CREDIT SAM FOR PURCHASE, to a PSAM: the card's MAC2 for checking."""
    return CommandApdu(0x80, 0x72, 0x00, 0x00, mac2)
