# SPDX-License-Identifier: Apache-2.0
"""A serial CCID reader on a pseudo-terminal, byte for byte as the GemPC Twin family speaks.

It frames, echoes, reports movements of cards, asks for time, and passes TPDUs to virtual cards,
T=0 and T=1; and it can misbehave on demand. It shares no code with the driver it checks.
"""

from __future__ import annotations

from hardware_mocks.serial_reader.faults import Fault
from hardware_mocks.serial_reader.kinds import GEMCORE_POS_PRO, GEMPC_TWIN, Kind
from hardware_mocks.serial_reader.reader import SerialReaderMock
from hardware_mocks.serial_reader.sockets import T0Card, T1Card

__all__ = ["GEMCORE_POS_PRO", "GEMPC_TWIN", "Fault", "Kind", "SerialReaderMock", "T0Card", "T1Card"]
