# SPDX-License-Identifier: Apache-2.0
"""The real pcscd with virtual readers in front of it, started and ended as one thing.

vpcd, the reader driver, listens on all addresses of its network; so pcscd and the cards run in
a network namespace of their own. The UNIX socket of pcscd stays where every client looks for
it, and pyscard, opensc-tool or scriptor see ordinary readers.
"""

from __future__ import annotations

from hardware_mocks.pcsc.errors import PcscError
from hardware_mocks.pcsc.readers import DEMO_READERS, ReaderSlot, slots_of
from hardware_mocks.pcsc.stack import PcscStack

__all__ = ["DEMO_READERS", "PcscError", "PcscStack", "ReaderSlot", "slots_of"]
