# SPDX-License-Identifier: Apache-2.0
"""The codes of events as plain integers, the only form that compiled code reads."""

from __future__ import annotations

from swipe.kinds import EventType, Flag, OutageKind, Result

IN = int(EventType.IN)
OUT = int(EventType.OUT)
AUTO = int(EventType.AUTO)
REJECTED = int(EventType.REJECTED)
TORN_RESOLVED = int(EventType.TORN_RESOLVED)
SWITCH = int(EventType.SWITCH)
VOID_LAST = int(EventType.VOID_LAST)
TRAINING = int(EventType.TRAINING)
GUARDIAN = int(EventType.GUARDIAN)
RECOVERED = int(EventType.RECOVERED)
OUTAGE = int(EventType.OUTAGE)
MANUAL = int(EventType.MANUAL)
# Not an event type: a tap that proves presence and nothing more.
PRESENCE = 0
# The types that take their place in the line of a card.
LINE_TYPES = (IN, OUT, AUTO, SWITCH, TRAINING, GUARDIAN, TORN_RESOLVED, RECOVERED)
# The types that may open an interval.
OPENING_TYPES = (IN, AUTO, SWITCH, TORN_RESOLVED, RECOVERED)
# The types that carry the wall clock of another moment than their own.
ELSEWHEN_TYPES = (TORN_RESOLVED, RECOVERED)
# Parts whose failure leaves a tap without TAC (rule 32).
PROOFLESS_PARTS = (int(OutageKind.PSAM), int(OutageKind.TAC))

RESULT_OK = int(Result.OK)
RESULT_TORN = int(Result.TORN)

FLAG_CLOCK_UNKNOWN = int(Flag.CLOCK_UNKNOWN)
FLAG_HOTLISTED = int(Flag.HOTLISTED)
FLAG_DUPLICATE = int(Flag.DUPLICATE)
FLAG_OVERRIDE = int(Flag.OPERATOR_OVERRIDE)
FLAG_EXPIRED = int(Flag.EXPIRED)
FLAG_TRAINING = int(Flag.TRAINING_MODE)

# As server.ingest.models.Proof and Verdict, which know the database and cannot be read here.
PROOF_SIGNATURE, PROOF_TAC, PROOF_MAC2, PROOF_CG2, PROOF_HARDWARE = 1, 2, 4, 8, 16
# Not of the server's ingest: a phone token that the server itself had signed (rule 51).
PROOF_TOKEN = 32
PROOF_ANSWER = PROOF_TAC | PROOF_MAC2
PROOF_CARD = PROOF_ANSWER | PROOF_CG2
VERDICT_OK, VERDICT_BAD_PROOF, VERDICT_BAD_SIGNATURE, VERDICT_FORKED = 0, 1, 2, 3
VERDICT_UNKNOWN_CARD, VERDICT_UNKNOWN_PSAM, VERDICT_PSAM_ORDER, VERDICT_SYSTEM = 4, 5, 6, 7
