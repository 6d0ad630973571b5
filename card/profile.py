# SPDX-License-Identifier: Apache-2.0
"""What goes onto a card: the profile of a chip class and the data of one person."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from card.errors import LayoutError
from card.files import (
    FREE_BYTES_MIN,
    MASTER_FILE,
    VOLUNTEER,
    Directory,
)
from card.layouts import (
    FLAG_MINOR_RULES,
    FLAG_SM4,
    ISSUER_ID,
    NO_TAP,
    NO_UPDATE,
    HolderData,
    PublicData,
    ServiceData,
)
from card.photo import photo_content
from keys.algorithm import Algorithm

ASN_BYTES = 10
PHOTO_FID = 0x001B
NOT_ENABLED = 0x00
ENABLED = 0x01


class ProfileTooBig(LayoutError):
    """The files leave less of the chip free than was promised for later applications."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A chip class and the directories it gets.

    Args:
        name: What the profile is called.
        chip_bytes: Memory of the chip for files.
        free_bytes_min: What must stay free after personalisation.

    Raises:
        ProfileTooBig: The files leave too little.
    """

    name: str = "standard"
    chip_bytes: int = 32_768
    free_bytes_min: int = FREE_BYTES_MIN
    master_file: Directory = field(default=MASTER_FILE, repr=False)
    application: Directory = field(default=VOLUNTEER, repr=False)

    def __post_init__(self) -> None:
        if self.free_bytes < self.free_bytes_min:
            raise ProfileTooBig(self.name, f"{self.free_bytes} bytes free")

    @property
    def free_bytes(self) -> int:
        """Return what stays free for later applications.

        >>> Profile().free_bytes >= 12_288
        True
        """
        own = self.master_file.key_file.eeprom_bytes + self.application.eeprom_bytes
        return self.chip_bytes - own


STANDARD = Profile()
# FM1208-9: 8 KB; holds the same files but cannot keep 12 KB free.
REDUCED = Profile("reduced", chip_bytes=8_192, free_bytes_min=0)


@dataclass(frozen=True, slots=True)
class CardData:
    """What one card says of its holder.

    Attributes:
        asn: Application serial number, 10 bytes of packed decimal digits.
        valid_from: First day of validity.
        valid_to: Last day of validity.
        masked_name: A name fit for a screen, at most 20 bytes of GB18030.
        name: The full name, at most 40 bytes of GB18030.
        volunteer_number: 10 digits.
        birth_date: Only where the rules for minors need it.
        minor_rules: Whether a guardian must be present.
        key_version: Version of the key set.
        document_type: 00 identity card.
        document_tail: The last six of the document number.
        organisation: 8 bytes.
        guardian_mobile: 11 digits or nothing.
        guardian_number: The guardian's volunteer number, or nothing.
        photo: A JPEG of at most 1 536 bytes, or nothing.
        member_flags: `card.layouts.Membership`.
        functions: `card.layouts.Function`; what the holder has opted into.
        level: Stars.
        total_minutes: As the server counts them on the day of issue.
        algorithm: Of the card's keys; a tap must know it before it asks for CG2.
    """

    asn: bytes
    valid_from: dt.date
    valid_to: dt.date
    masked_name: str = field(repr=False)
    name: str = field(repr=False)
    volunteer_number: str
    birth_date: dt.date | None = None
    minor_rules: bool = False
    key_version: int = 1
    document_type: int = 0
    document_tail: str = field(default="", repr=False)
    organisation: bytes = bytes(8)
    guardian_mobile: str = field(default="", repr=False)
    guardian_number: str = field(default="", repr=False)
    photo: bytes = field(default=b"", repr=False)
    member_flags: int = 0
    functions: int = 0
    level: int = 0
    total_minutes: int = 0
    algorithm: Algorithm = Algorithm.TDES

    def __post_init__(self) -> None:
        if len(self.asn) != ASN_BYTES or not self.asn.hex().isdecimal():
            raise LayoutError("asn", "not ten bytes of decimal digits")
        if self.valid_to < self.valid_from:
            raise LayoutError("valid_to", "before valid_from")

    @property
    def diversifier(self) -> bytes:
        """Return what the card's keys are diversified by."""
        return self.asn[2:]

    def contents(self, profile: Profile = STANDARD) -> dict[int, bytes]:
        """Return the content of each written file, with the application enabled.

        Raises:
            LayoutError: A value does not fit its field.
        """
        values = {
            0x0015: self._public(profile.application.version),
            0x0016: HolderData(
                0, self.name, self.volunteer_number, self.document_type, self.document_tail
            ),
            0x0017: self._service(),
            0x0019: NO_TAP,
            0x001A: NO_UPDATE,
        }
        built: dict[int, bytes] = {}
        for spec in profile.application.files:
            if spec.fid == PHOTO_FID:
                built[spec.fid] = photo_content(self.photo)
            elif spec.layout is not None and spec.fid in values:
                built[spec.fid] = spec.layout.build(values[spec.fid])
        return built

    def _service(self) -> ServiceData:
        return ServiceData(
            organisation=self.organisation,
            member_flags=self.member_flags,
            functions=self.functions,
            level=self.level,
            total_minutes=self.total_minutes,
            guardian_mobile=self.guardian_mobile,
            guardian_number=self.guardian_number,
        )

    def _public(self, version: int) -> PublicData:
        flags = FLAG_MINOR_RULES if self.minor_rules else 0
        if self.algorithm is Algorithm.SM4:
            flags |= FLAG_SM4
        return PublicData(
            issuer=ISSUER_ID,
            application_type=ENABLED,
            application_version=version,
            asn=self.asn,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            issuer_fci=bytes(2),
            birth_date=self.birth_date,
            masked_name=self.masked_name,
            flags=flags,
            key_version=self.key_version,
        )
