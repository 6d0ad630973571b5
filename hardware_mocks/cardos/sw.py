# SPDX-License-Identifier: Apache-2.0
"""Status words of FMCOS 2.0 (user manual 6.2 and chapter 8) and of the PSAM."""

from __future__ import annotations

OK = 0x9000
MORE_DATA = 0x6100  # + bytes waiting for GET RESPONSE
UNWRITTEN = 0x6281  # the data may be wrong: this binary file was never written
TRIES_LEFT = 0x63C0  # + tries left
WRONG_LENGTH = 0x6700
SM_NOT_POSSIBLE = 0x6900  # CLA does not fit the line protection of the file
WRONG_STATE = 0x6901
WRONG_FILE_TYPE = 0x6981
ACCESS_DENIED = 0x6982
KEY_BLOCKED = 0x6983
NO_CHALLENGE = 0x6984
CONDITIONS = 0x6985
NO_CURRENT_EF = 0x6986
SM_MISSING = 0x6987
SM_WRONG = 0x6988
WRONG_DATA = 0x6A80
UNSUPPORTED = 0x6A81  # also: no MF, application or card blocked
FILE_NOT_FOUND = 0x6A82
RECORD_NOT_FOUND = 0x6A83
NO_SPACE = 0x6A84
WRONG_P1P2 = 0x6A86
KEY_NOT_FOUND = 0x6A88
WRONG_OFFSET = 0x6B00
WRONG_LE = 0x6C00  # + the right length
UNKNOWN_INS = 0x6D00
UNKNOWN_CLA = 0x6E00
MAC_INVALID = 0x9302
BLOCKED_FOR_GOOD = 0x9303
LOW_BALANCE = 0x9401
COUNTER_EXHAUSTED = 0x9402
UNKNOWN_KEY_INDEX = 0x9403
NO_PROOF = 0x9406
