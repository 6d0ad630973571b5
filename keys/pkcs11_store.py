# SPDX-License-Identifier: Apache-2.0
"""The key store on a PKCS#11 token: masters are sensitive objects that work and do not come out.

Each master is a secret key object of the token, labelled ``yika/USAGE/VERSION``; CKA_ID holds what
PKCS#11 has no attribute for. Card keys are the ECB of factor and complement on the token, many in
one call. Only purchase masters are extractable, and only wrapped: a PSAM must get them. The token
has 3DES and AES; SM4 keys live in a file store. Needs the extra ``hsm`` (python-pkcs11).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from keys import _prims
from keys.algorithm import Algorithm
from keys.audit import AuditLog
from keys.envelope import DEFAULT_COST, KdfCost
from keys.errors import (
    BadSeal,
    KeyStoreDamaged,
    KeyStoreExists,
    NotExportable,
    UnknownKey,
    UnsupportedAlgorithm,
)
from keys.files import locked
from keys.key_info import KeyId, KeyInfo, key_name
from keys.keystore import KeyStore
from keys.material import KeyMaterial
from keys.pkcs11_session import TokenSessions
from keys.store_name import state_folder
from keys.surroundings import HERE, Surroundings
from keys.tries import counted_try
from keys.usage import SEALING, KeyUsage

T = TypeVar("T")

LABEL_PREFIX = "yika/"
# Bytes given to the token in one call: 4096 card keys. Network HSMs limit what they take at once.
CHUNK_BYTES = 1 << 16
_TYPES = {Algorithm.TDES: KeyType.DES2, Algorithm.AES: KeyType.AES}
_ALGORITHMS = {key_type: algorithm for algorithm, key_type in _TYPES.items()}
_GENERATION = {Algorithm.TDES: Mechanism.DES2_KEY_GEN, Algorithm.AES: Mechanism.AES_KEY_GEN}
_ECB = {Algorithm.TDES: Mechanism.DES3_ECB, Algorithm.AES: Mechanism.AES_ECB}
_CMAC = {Algorithm.TDES: Mechanism.DES3_CMAC, Algorithm.AES: Mechanism.AES_CMAC}
_NONCE_BYTES, _TAG_BITS = 12, 128
_NEVER = 0


@dataclass(frozen=True, slots=True)
class _Notes:
    """What CKA_ID holds: magic ‖ flags (1) ‖ created (4, POSIX) ‖ retires (4, day of year 1 on)."""

    created: int
    retires: int = _NEVER
    marked_test: bool = False

    _LAYOUT = struct.Struct(">4sBII")
    _MAGIC = b"YK\x00\x01"

    def to_bytes(self) -> bytes:
        """Write the notes."""
        return self._LAYOUT.pack(self._MAGIC, self.marked_test, self.created, self.retires)

    @classmethod
    def from_bytes(cls, raw: bytes, place: str) -> _Notes:
        """Read the notes; raise ``KeyStoreDamaged`` when they are not ours."""
        if len(raw) != cls._LAYOUT.size or not raw.startswith(cls._MAGIC):
            raise KeyStoreDamaged(place, "a key has no notes of ours")
        _, flags, created, retires = cls._LAYOUT.unpack(raw)
        return cls(created, retires, bool(flags & 1))


class Pkcs11KeyStore(KeyStore):
    """Keep the issuer's master keys on a token."""

    backend = "pkcs11"

    def __init__(self, sessions: TokenSessions, audit: AuditLog, around: Surroundings) -> None:
        super().__init__(sessions.place, audit, around.today)
        self._sessions = sessions
        self._known: dict[KeyId, KeyInfo] | None = None

    def __repr__(self) -> str:
        return f"Pkcs11KeyStore({self.place!r})"

    @classmethod
    def open(cls, module: str, label: str, pin: str, around: Surroundings = HERE) -> Pkcs11KeyStore:
        """Open a token that is set up; SOFTHSM2_CONF and the like must be set before.

        ``around.audit`` names the audit log; without it, it is in the user's state folder.

        Raises:
            HsmAbsent, HsmPinWrong, HsmPinLocked: what stands in the way.
            KeyStoreThrottled: too many wrong PINs before; the token was not asked.
        """
        log = around.log(state_folder() / label)
        log.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with counted_try(log.path, around.now):
            sessions = TokenSessions(module, label, pin)
        return cls(sessions, log, around)

    def backup(self, path: Path | str, passphrase: str, cost: KdfCost = DEFAULT_COST) -> None:
        """Refuse: masters do not leave a token; its maker's own backup is the way."""
        del passphrase, cost
        raise NotExportable("token", f"no {path} is made; take the backup of the HSM's maker")

    def _infos(self) -> dict[KeyId, KeyInfo]:
        """Give what the token held when it was last looked through, as a file store does."""
        if self._known is None:
            self._known = {(info.usage, info.version): info for info in self._look()}
        return self._known

    def _look(self) -> list[KeyInfo]:
        def read(session: pkcs11.Session, found: dict[str, Any]) -> list[KeyInfo]:
            kind = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.TOKEN: True}
            for key in _search(session, kind):
                if key[Attribute.LABEL].startswith(LABEL_PREFIX):
                    found[key[Attribute.LABEL]] = key
            return [self._describe(key) for key in found.values()]

        return self._sessions.use(read)

    def _look_at(self, info: KeyInfo) -> KeyInfo:
        """Describe one key as it is on the token now, and remember that."""
        found = self._with(info, lambda _, key: self._describe(key))
        self._note(found)
        return found

    def _note(self, info: KeyInfo) -> None:
        """Remember a key; other threads may be reading the list, so they keep theirs."""
        self._known = {**self._infos(), (info.usage, info.version): info}

    def _learn(self, usage: KeyUsage, version: int) -> None:
        label = LABEL_PREFIX + key_name(usage, version)

        def look(session: pkcs11.Session, _: dict[str, Any]) -> list[KeyInfo]:
            return [self._describe(key) for key in _search(session, {Attribute.LABEL: label})]

        for info in self._sessions.use(look):
            self._note(info)

    def _describe(self, key: Any) -> KeyInfo:
        try:
            usage, version = key[Attribute.LABEL].removeprefix(LABEL_PREFIX).split("/")
            name = (KeyUsage(usage), int(version))
        except ValueError as exc:
            raise KeyStoreDamaged(
                self.place, f"an object is labelled {key[Attribute.LABEL]!r}"
            ) from exc
        notes = _Notes.from_bytes(bytes(key[Attribute.ID]), self.place)
        algorithm = _ALGORITHMS[key.key_type]
        zeros = bytes(algorithm.block_bytes)
        return KeyInfo(
            *name,
            kcv=key.encrypt(zeros, mechanism=_ECB[algorithm])[:3].hex().upper(),
            created=datetime.fromtimestamp(notes.created, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            algorithm=algorithm,
            retires=date.fromordinal(notes.retires) if notes.retires else None,
            marked_test=notes.marked_test,
            exportable=bool(key[Attribute.EXTRACTABLE]),
        )

    def _with(self, info: KeyInfo, work: Callable[[pkcs11.Session, Any], T]) -> T:
        """Do something with a key of the token."""
        label = _label(info)

        def reach(session: pkcs11.Session, found: dict[str, Any]) -> T:
            key = found.get(label)
            if key is None:
                try:
                    (key,) = _search(session, {Attribute.LABEL: label})
                except ValueError as exc:
                    raise UnknownKey(info.usage.value, info.version) from exc
                found[label] = key
            return work(session, key)

        return self._sessions.use(reach)

    def _encryptor(self, info: KeyInfo) -> Callable[[bytes], bytes]:
        mechanism = _ECB[info.algorithm]

        def encrypt(blocks: bytes) -> bytes:
            spans = range(0, len(blocks), CHUNK_BYTES)
            return self._with(
                info,
                lambda _, key: b"".join(
                    key.encrypt(blocks[at : at + CHUNK_BYTES], mechanism=mechanism) for at in spans
                ),
            )

        return encrypt

    def _cmac(self, info: KeyInfo, data: bytes) -> bytes:
        mechanism = _CMAC[info.algorithm]
        return self._with(info, lambda _, key: bytes(key.sign(data, mechanism=mechanism)))

    def _seal(self, info: KeyInfo, data: bytes, aad: bytes) -> bytes:
        nonce = _prims.random_bytes(_NONCE_BYTES)
        return nonce + self._with(info, lambda _, key: bytes(key.encrypt(data, **_gcm(nonce, aad))))

    def _unseal(self, info: KeyInfo, sealed: bytes, aad: bytes) -> bytes:
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        if len(rest) < _TAG_BITS // 8:
            raise BadSeal

        def open_it(_: pkcs11.Session, key: Any) -> bytes:
            try:
                return bytes(key.decrypt(rest, **_gcm(nonce, aad)))
            except _WRONG_TAG as exc:
                raise BadSeal from exc

        return self._with(info, open_it)

    def _reveal(self, info: KeyInfo) -> KeyMaterial:
        """Bring an exportable key out, wrapped under a key that lives as long as this call."""
        if not info.exportable:
            raise NotExportable(info.usage.value, "it was made to stay on its token")
        kek = KeyMaterial.random(Algorithm.AES.key_bytes)

        def wrap(session: pkcs11.Session, key: Any) -> bytes:
            wrapping: Any = session.create_object(
                {
                    Attribute.CLASS: ObjectClass.SECRET_KEY,
                    Attribute.KEY_TYPE: KeyType.AES,
                    Attribute.VALUE: kek.reveal(),
                    Attribute.TOKEN: False,
                    Attribute.SENSITIVE: True,
                    Attribute.EXTRACTABLE: False,
                    Attribute.WRAP: True,
                }
            )
            try:
                return bytes(wrapping.wrap_key(key, mechanism=Mechanism.AES_KEY_WRAP))
            finally:
                wrapping.destroy()

        try:
            return KeyMaterial(_prims.aes_key_unwrap(kek.reveal(), self._with(info, wrap)))
        finally:
            kek.wipe()

    def _insert(self, info: KeyInfo, material: KeyMaterial | None) -> KeyInfo:
        if info.algorithm not in _TYPES:
            raise UnsupportedAlgorithm(
                info.algorithm.value,
                "live on a PKCS#11 token, which has no such mechanism; keep it in a file store",
            )
        template = self._template(info)

        def make(session: pkcs11.Session, _: dict[str, Any]) -> None:
            if _search(session, {Attribute.LABEL: template[Attribute.LABEL]}):
                raise KeyStoreExists(f"{self.place}: {info.usage.value} version {info.version}")
            if material is None:
                bits = 8 * info.algorithm.key_bytes if info.algorithm is Algorithm.AES else None
                session.generate_key(
                    _TYPES[info.algorithm],
                    bits,
                    store=True,
                    mechanism=_GENERATION[info.algorithm],
                    template=template,
                )
            else:
                session.create_object({**template, Attribute.VALUE: material.reveal()})

        with locked(self.audit.path):
            self._sessions.use(make)
        return self._look_at(info)

    def _template(self, info: KeyInfo) -> dict[Attribute, Any]:
        created = datetime.fromisoformat(info.created).replace(tzinfo=UTC)
        notes = _Notes(int(created.timestamp()), marked_test=info.marked_test)
        return {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: _TYPES[info.algorithm],
            Attribute.LABEL: _label(info),
            Attribute.ID: notes.to_bytes(),
            Attribute.TOKEN: True,
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: info.exportable,
            Attribute.ENCRYPT: True,
            Attribute.DECRYPT: info.usage in SEALING,
            Attribute.SIGN: info.usage is KeyUsage.KEY_BLOCK,
            Attribute.VERIFY: False,
            Attribute.WRAP: False,
            Attribute.UNWRAP: False,
            Attribute.DERIVE: False,
        }

    def _date(self, info: KeyInfo, retires: date) -> None:
        def note(_: pkcs11.Session, key: Any) -> bytes:
            notes = _Notes.from_bytes(bytes(key[Attribute.ID]), self.place)
            key[Attribute.ID] = replace(notes, retires=retires.toordinal()).to_bytes()
            return b""

        self._with(info, note)
        self._look_at(info)


# What tokens answer to a wrong tag: SoftHSM2 the first, the standard the others.
_WRONG_TAG = (
    pkcs11.GeneralError,
    pkcs11.EncryptedDataInvalid,
    pkcs11.EncryptedDataLenRange,
    pkcs11.SignatureInvalid,
)


def _label(info: KeyInfo) -> str:
    return LABEL_PREFIX + key_name(info.usage, info.version)


def _search(session: pkcs11.Session, template: dict[Attribute, Any]) -> list[Any]:
    """Find objects. A search in a lost session leaves python-pkcs11 complaining; ask first."""
    session.generate_random(8 * _NONCE_BYTES)
    return list(session.get_objects(template))


def _gcm(nonce: bytes, aad: bytes) -> dict[str, Any]:
    return {
        "mechanism": Mechanism.AES_GCM,
        "mechanism_param": pkcs11.GCMParams(nonce, aad, _TAG_BITS),
    }
