# SPDX-License-Identifier: Apache-2.0
"""Errors of the public log.

ServerError
└── LogDiverged       database and published log contradict each other: nothing more is signed
"""

from __future__ import annotations

from server.errors import ServerError


class LogDiverged(ServerError):
    """Report that the database does not continue the log that was published."""

    def __init__(self, published: int, stored: int, detail: str) -> None:
        self.published = published
        self.stored = stored
        self.detail = detail
        super().__init__(published, stored, detail)

    def __str__(self) -> str:
        return (
            f"数据库与已公布的存证不一致 the database does not continue the published log: "
            f"{self.detail} (published {self.published}, stored {self.stored}); nothing is signed. "
            "Was an old backup restored? Run yika-server audit verify"
        )
