# SPDX-License-Identifier: Apache-2.0
"""Errors of the pages; each carries facts, the page derives the words.

PortalError
├── SignInRefused     number or name unknown, or secret wrong: deliberately one error
├── TooManyAttempts   wait before the next try
├── PasswordRefused   the new password breaks a rule
├── CurrentWrong      the current password given for a change is wrong
└── NotFound          the thing is not there, or not for this person to know
"""

from __future__ import annotations

from .policy import PasswordFault


class PortalError(Exception):
    """Base of the errors that a page answers with words of its own."""


class SignInRefused(PortalError):
    """Number or name unknown, or secret wrong; nobody outside is told which."""


class TooManyAttempts(PortalError):
    """Too many failed sign-ins for this number or from this address."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"retry after {retry_after_s} s")
        self.retry_after_s = retry_after_s


class PasswordRefused(PortalError):
    """The new password breaks a rule."""

    def __init__(self, fault: PasswordFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class CurrentWrong(PortalError):
    """The current password given for a change is wrong."""


class NotFound(PortalError):
    """The thing asked for is not there, or not for this person to know."""
