# SPDX-License-Identifier: Apache-2.0
"""How the power fails: at the n-th moment of whatever a terminal is doing."""

from __future__ import annotations


class PowerCut(BaseException):
    """The terminal has no power any more. Nothing in a program may catch this."""


class Violation(Exception):
    """An invariant does not hold.

    Attributes:
        rule: Its name, I1 to I14, or what else it is.
        fact: What was found.
    """

    def __init__(self, rule: str, fact: str) -> None:
        self.rule = rule
        self.fact = fact
        super().__init__(f"{rule}: {fact}")


class Fuse:
    """Count the moments at which the power may fail, and let it fail at one of them."""

    def __init__(self) -> None:
        self._left: int | None = None

    def arm(self, moments: int | None) -> None:
        """Let the power fail after so many moments more; None takes the plan back."""
        self._left = moments

    def moment(self) -> None:
        """Pass one moment.

        Raises:
            PowerCut: This was the one.
        """
        if self._left is None:
            return
        if self._left <= 0:
            self._left = None
            raise PowerCut
        self._left -= 1


def demand(holds: object, rule: str, fact: str) -> None:
    """Stop the history where an invariant does not hold.

    >>> demand(1 + 1 == 2, "I0", "arithmetic")
    """
    if not holds:
        raise Violation(rule, fact)
