# SPDX-License-Identifier: Apache-2.0
"""Applications for tests: forms that are right in every field, and photos drawn on the spot."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from server.applications.checking import Form
from server.applications.documents import check_character
from server.applications.entering import Submission
from server.applications.policy import Agreement

# A test draws the same grain every time.
SEED = 20_261_122


def mainland_id(birth: str = "19900517", order: int = 1, region: str = "440304") -> str:
    """Make a mainland number that is right to the last digit; `birth` is YYYYMMDD."""
    first = f"{region}{birth}{order:03d}"
    return first + check_character(first)


def make_form(order: int = 1, **fields: str) -> Form:
    """Make a form without a fault; `order` tells people apart."""
    values = {
        "name": "王小明",
        "document_number": mainland_id(order=order),
        "mobile": "13800138000",
        "address": "深圳市福田区莲花路 1 号",
        "emergency_name": "王大明",
        "emergency_mobile": "13900139000",
    }
    return Form(**(values | fields))


@lru_cache(maxsize=32)
def make_jpeg(width: int = 295, height: int = 413, **saving: Any) -> bytes:
    """Draw a JPEG with grain in every pixel, as a camera gives it."""
    grain = np.random.default_rng(SEED).integers(0, 256, (height, width, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(grain).save(out, "JPEG", quality=90, **saving)
    return out.getvalue()


ALL_ACCEPTED = dict.fromkeys(Agreement, 1)


def make_submission(order: int = 1, **fields: str) -> Submission:
    """Make a whole application that is taken as it is."""
    return Submission(make_form(order, **fields), make_jpeg(), ALL_ACCEPTED)
