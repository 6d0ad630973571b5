# SPDX-License-Identifier: Apache-2.0
"""Steps of personalisation that make directories, open them, and hand them to the issuer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from card.apdu import CommandApdu
from card.card_keys import TRANSPORT_KEY_BYTES, CardKeys
from card.commands import create_file, select_fid, select_name, write_key
from card.errors import AuthenticationFailed, FileNotFound, KeyNotFound, status_error
from card.files import KEY_BYTES, Directory
from card.operation import Operation, exchange
from card.status_words import OK, Text
from card.step import ADD_KEY, SHOWN_CHALLENGE, Progress, shown, shown_key, shown_wrapped

_NO_MF = (0x6A81, 0x6A82)
_NO_FILE = 0x6A82
# The vendor's issuing example ends CREATE MF in seven bytes FF: reserved and transport code.
_MF_TAIL = b"\xff" * 7
_MF_HEAD_BYTES = 6


def select_directory(directory: Directory) -> CommandApdu:
    """Return the command that selects a directory: by name if it has one."""
    return select_name(directory.name) if directory.name else select_fid(directory.fid)


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Create a directory unless it can be selected, and select it."""

    directory: Directory

    @property
    def label(self) -> Text:
        """What the step is for."""
        name = self.directory.label
        return Text(f"建立{name.zh}", f"create the {name.en}")

    @property
    def writes(self) -> int:
        """Return how many commands change a blank card."""
        return 1

    @property
    def control_data(self) -> bytes:
        """Return the data of CREATE FILE."""
        control = self.directory.control()
        return control if self.directory.name else control[:_MF_HEAD_BYTES] + _MF_TAIL

    def _create(self) -> CommandApdu:
        return create_file(self.directory.fid, self.control_data)

    def show(self, keys: CardKeys) -> Iterator[str]:  # noqa: ARG002 - all steps have one shape
        """Yield the commands to a blank card."""
        select = shown(select_directory(self.directory))
        yield from (select, shown(self._create()), select)

    def run(self, progress: Progress) -> Operation[None]:
        """Create it if it is not there."""
        select = select_directory(self.directory)
        response = yield select
        if response.sw in (_NO_MF if not self.directory.name else (_NO_FILE,)):
            yield from progress.write(self._create())
            yield from exchange(select)
        elif response.sw != OK:
            raise status_error(response.sw, select.ins)


@dataclass(frozen=True, slots=True)
class OpenDirectory:
    """Select a directory and prove its control key; make key file and first key if missing.

    The first key is the transport key, which is public and may go in plain; it is replaced in
    the end. A card that was cut late may hold either: the transport key is tried first, then
    the final one, unless the guard forbids it. A right key gives all attempts back.

    Args:
        directory: What to open.
        again: It was opened before in the same plan, so nothing is missing.
    """

    directory: Directory
    again: bool = False

    @property
    def label(self) -> Text:
        """What the step is for."""
        name = self.directory.label
        return Text(f"进入{name.zh}并认证", f"open the {name.en}")

    @property
    def writes(self) -> int:
        """Return how many commands change a blank card: key file and first key."""
        return 0 if self.again else 2

    def _key_file(self) -> CommandApdu:
        return create_file(self.directory.key_file.fid, self.directory.key_file.control())

    def _first_key(self, version: int) -> CommandApdu:
        spec = self.directory.control_key
        header = spec.header(version, encrypted=False)
        return write_key(ADD_KEY, spec.key_id, header + TRANSPORT_KEY_BYTES)

    def show(self, keys: CardKeys) -> Iterator[str]:
        """Yield the commands to a blank card."""
        spec = self.directory.control_key
        yield shown(select_directory(self.directory))
        if not self.again:
            yield shown(self._key_file())
            head, key = shown(self._first_key(keys.version)), shown_key(keys.transport)
            yield f"{head[: -2 * KEY_BYTES]} [{key}]"
        yield SHOWN_CHALLENGE
        yield f"008200{spec.key_id:02X}08 ‹3DES([control key in force], challenge)›"

    def run(self, progress: Progress) -> Operation[None]:
        """Open it with the key in force, making what is missing."""
        response = yield from exchange(select_directory(self.directory))
        if self.directory.name:
            progress.same_card(response.data)
        known = progress.in_force.get(self.directory.fid)
        if known is not None:
            yield from progress.prove(self.directory, known)
            return
        try:
            yield from self._try_keys(progress)
        except FileNotFound:
            yield from progress.write(self._key_file())
            yield from self._add_first_key(progress)
        except KeyNotFound:
            yield from self._add_first_key(progress)

    def _add_first_key(self, progress: Progress) -> Operation[None]:
        yield from progress.write(self._first_key(progress.keys.version))
        progress.fresh.add(self.directory.fid)
        yield from progress.prove(self.directory, progress.keys.transport)

    def _try_keys(self, progress: Progress) -> Operation[None]:
        final = progress.final_key(self.directory)
        name = progress.key_name(self.directory)
        if progress.guard.holds(name, progress.keys.transport) is False:
            yield from progress.prove(self.directory, final)
            return
        try:
            yield from progress.prove(self.directory, progress.keys.transport)
        except AuthenticationFailed:
            if not progress.late:
                raise
            yield from progress.prove(self.directory, final)


@dataclass(frozen=True, slots=True)
class ReplaceControlKey:
    """Replace the transport key by the diversified control key, and prove the new one."""

    directory: Directory

    @property
    def label(self) -> Text:
        """What the step is for."""
        name = self.directory.label
        return Text(f"更换{name.zh}的主控密钥", f"replace the control key of the {name.en}")

    @property
    def writes(self) -> int:
        """Return how many commands change a blank card."""
        return 1

    def show(self, keys: CardKeys) -> Iterator[str]:
        """Yield the commands to a blank card."""
        spec = self.directory.control_key
        final = keys[spec.usage]
        header = spec.header(keys.version)
        yield SHOWN_CHALLENGE
        yield shown_wrapped(spec.key_type, spec.key_id, header, final)
        yield SHOWN_CHALLENGE
        yield f"008200{spec.key_id:02X}08 ‹3DES([{shown_key(final)}], challenge)›"

    def run(self, progress: Progress) -> Operation[None]:
        """Replace it unless the final key is in force."""
        final = progress.final_key(self.directory)
        current = progress.in_force[self.directory.fid]
        if current is final:
            return
        spec = self.directory.control_key
        progress.guard.replacing(progress.key_name(self.directory), final)
        yield from progress.write_key(self.directory, spec, spec.key_type)
        yield from progress.prove(self.directory, final)
