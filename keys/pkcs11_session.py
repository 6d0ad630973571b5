# SPDX-License-Identifier: Apache-2.0
"""Sessions with a PKCS#11 token: one for each thread, opened again once when lost, errors by name.

A program logs in once per token (PKCS#11 §6.7.4: a second login of the same program is refused, and
all its sessions share the first). The session that logged in is kept for the life of the program;
each thread works in one of its own (§6.7.6). A child after a fork starts the library anew (§6.6.1).

A module may run its calls side by side; SoftHSM2 cannot, whatever it says at C_Initialize: threads
that open sessions and objects at once get CKR_GENERAL_ERROR or a crash. Its calls are made one at
a time (docs/adr/0137).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pkcs11
from pkcs11 import exceptions as refused

from keys.errors import (
    HsmAbsent,
    HsmPinLocked,
    HsmPinWrong,
    HsmRefused,
    HsmSessionLost,
    KeysError,
)

T = TypeVar("T")

_ABSENT = (refused.NoSuchToken, refused.SlotIDInvalid, refused.TokenNotRecognised)
_PIN_WRONG = (refused.PinIncorrect, refused.PinInvalid, refused.PinLenRange)
# After these the session and its object handles are worth nothing; another may serve.
_LOST = (
    refused.DeviceError,
    refused.DeviceRemoved,
    refused.KeyHandleInvalid,
    refused.ObjectHandleInvalid,
    refused.SessionClosed,
    refused.SessionHandleInvalid,
    refused.TokenNotPresent,
    refused.UserNotLoggedIn,
)


def named(place: str, error: pkcs11.PKCS11Error) -> KeysError:
    """Translate an error of the library into one of ours.

    >>> str(named("pkcs11:x", refused.PinLocked()))
    'pkcs11:x: the PIN is locked; the security officer must set a new one'
    """
    words = type(error).__name__
    if isinstance(error, _ABSENT):
        return HsmAbsent(place, words)
    if isinstance(error, _PIN_WRONG):
        return HsmPinWrong(place)
    if isinstance(error, refused.PinLocked):
        return HsmPinLocked(place)
    if isinstance(error, _LOST):
        return HsmSessionLost(place, words)
    return HsmRefused(place, words if words != "PKCS11Error" else str(error))


class _Login:
    """The one login of this program at one token."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.keeper: pkcs11.Session | None = None
        self._salt = os.urandom(16)
        self._pin = b""

    def remember(self, pin: str) -> None:
        """Note which PIN was right, as a salted hash."""
        self._pin = self._hash(pin)

    def knows(self, pin: str) -> bool:
        """Say whether this is the PIN that was right."""
        return hmac.compare_digest(self._pin, self._hash(pin))

    def _hash(self, pin: str) -> bytes:
        return hashlib.sha256(self._salt + pin.encode()).digest()


_LOGINS: dict[tuple[str, bytes], _Login] = {}
_LOGINS_MUTEX = threading.Lock()
# Makers of modules (CK_INFO.manufacturerID) whose calls must not meet.
_ONE_AT_A_TIME = frozenset({"SoftHSM"})
_Turn = contextlib.AbstractContextManager[Any]
_TURNS: dict[str, _Turn] = {}
# In which process each module was started; a fork takes the module along, but not its sessions.
_STARTED: dict[str, int] = {}


def _turn_for(library: Any) -> _Turn:
    """Give what lets one thread at a time into a module that needs it, and all into others."""
    if library.manufacturer_id in _ONE_AT_A_TIME:
        return threading.RLock()
    return contextlib.nullcontext()


def _turns_after_fork() -> None:
    """Free the turns in a child: the thread that held one is not there."""
    for module, turn in _TURNS.items():
        if not isinstance(turn, contextlib.nullcontext):
            _TURNS[module] = threading.RLock()


os.register_at_fork(after_in_child=_turns_after_fork)


class _Seat:
    """The session of one thread, and the keys it has looked up; closed when the thread ends."""

    def __init__(self, session: pkcs11.Session, module: str) -> None:
        self.session = session
        self.found: dict[str, Any] = {}
        self._module = module

    def __del__(self) -> None:
        with _TURNS[self._module], contextlib.suppress(pkcs11.PKCS11Error):
            self.session.close()


class TokenSessions:
    """Reach one token from any thread."""

    def __init__(self, module: str, label: str, pin: str) -> None:
        self.place = f"pkcs11:{module}?token={label}"
        self._module = module
        self._label = label
        self._pin = pin
        self._local = threading.local()
        with _LOGINS_MUTEX:
            if module not in _TURNS:
                _TURNS[module] = _turn_for(self._library())
        with _TURNS[module]:
            self._reach()

    def __repr__(self) -> str:
        return f"TokenSessions({self.place!r})"

    def use(self, work: Callable[[pkcs11.Session, dict[str, Any]], T]) -> T:
        """Do some work in this thread's session; once more in a new one when that was lost.

        ``work`` gets the session and a dictionary in which it may keep object handles; both are
        new after a loss. Work that makes an object must be harmless when done twice.

        Raises:
            HsmError: by name; nothing is half-written.
        """
        with _TURNS[self._module]:
            try:
                if self._process == os.getpid():
                    return self._work(work)
            except _LOST:
                pass
            self._local.__dict__.pop("seat", None)
            try:
                self._reach()
                return self._work(work)
            except pkcs11.PKCS11Error as exc:
                raise named(self.place, exc) from exc

    def _work(self, work: Callable[[pkcs11.Session, dict[str, Any]], T]) -> T:
        seat: _Seat | None = getattr(self._local, "seat", None)
        try:
            if seat is None:
                seat = _Seat(self._token.open(rw=True), self._module)
                self._local.seat = seat
            return work(seat.session, seat.found)
        except _LOST:
            raise
        except pkcs11.PKCS11Error as exc:
            raise named(self.place, exc) from exc

    def _reach(self) -> None:
        """Find the token and see to it that this program is logged in."""
        self._token = self._find()
        self._process = os.getpid()
        with _LOGINS_MUTEX:
            self._login = _LOGINS.setdefault((self._module, bytes(self._token.serial)), _Login())
        self._log_in()

    def _library(self) -> Any:
        try:
            return pkcs11.lib(self._module)
        except pkcs11.PKCS11Error as exc:  # the module itself cannot be loaded
            raise HsmAbsent(self.place, str(exc) or type(exc).__name__) from exc

    def _find(self) -> pkcs11.Token:
        library = self._library()
        try:
            if _STARTED.setdefault(self._module, os.getpid()) != os.getpid():
                library.reinitialize()
                _STARTED[self._module] = os.getpid()
                _LOGINS.clear()
            token: pkcs11.Token = library.get_token(token_label=self._label)
            return token
        except _ABSENT as exc:
            raise HsmAbsent(self.place, type(exc).__name__) from exc
        except pkcs11.PKCS11Error as exc:
            raise HsmAbsent(self.place, str(exc) or type(exc).__name__) from exc

    def _log_in(self) -> None:
        """Log this program in, unless it is; a PIN that is not the one that was right is wrong."""
        with self._login.mutex:
            try:
                self._login.keeper = self._token.open(rw=True, user_pin=self._pin)
            except refused.UserAlreadyLoggedIn:
                if not self._login.knows(self._pin):
                    raise HsmPinWrong(self.place) from None
            except pkcs11.PKCS11Error as exc:
                raise self._with_hint(named(self.place, exc)) from exc
            else:
                self._login.remember(self._pin)

    def _with_hint(self, error: KeysError) -> KeysError:
        """Say how few tries a wrong PIN has left, as far as the token tells."""
        if isinstance(error, HsmPinWrong):
            flags = self._token.flags
            if flags & pkcs11.TokenFlag.USER_PIN_LOCKED:
                return HsmPinLocked(self.place)
            if flags & pkcs11.TokenFlag.USER_PIN_FINAL_TRY:
                return HsmPinWrong(self.place, ", and one try is left")
        return error
