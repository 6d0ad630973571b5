# SPDX-License-Identifier: Apache-2.0
"""What an application compiles at its start, kept for the next one: a suite makes hundreds."""

from __future__ import annotations

from functools import cache
from types import CodeType

import pytest
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from server.portal import language


class KeptTemplates(BytecodeCache):
    """The code of each template by the checksum of its text, in memory."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give what an earlier application compiled of the same text."""
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        if bucket.code is not None:
            self._kept[bucket.key, bucket.checksum] = bucket.code


def keep(patch: pytest.MonkeyPatch) -> None:
    """Let applications made from now on share templates and catalogues."""
    patch.setattr(Flask, "jinja_options", {"bytecode_cache": KeptTemplates()})
    patch.setattr(language, "compile_catalogue", cache(language.compile_catalogue))
