# SPDX-License-Identifier: Apache-2.0
"""The hand that holds the cards: a process that puts card images into virtual reader slots.

It listens on a UNIX socket for one JSON object a line and answers each with one:

    {"do": "blank", "card": "v01"}                     make a blank card ("kind": card, iso, psam)
    {"do": "insert", "slot": "pos-a", "card": "v01"}   put a card on the reader
    {"do": "remove", "slot": "pos-a"}                  take it away
    {"do": "tear", "slot": "pos-a", "when": "debit-lost"}   have it pulled off at that moment
    {"do": "fault", "slot": "pos-a", "fault": {"kind": "status", "sw": "6581", "ins": "54"}}
    {"do": "pace", "slot": "pos-a", "profile": "contactless-106"}   take the time of a real card
    {"do": "list"}                                     slots, and the cards in the folder

The answer is {"ok": true, …} or {"ok": false, "error": "…"}. Moments of a tear: before-debit,
in-debit (while the card writes), debit-lost (the card has committed, the answer is lost), now
(at the next command). Faults: tear (at any write), status, bit, mute, slow, with their fields in
`hardware_mocks.cardos.faults`. Programs use `hardware_mocks.cardhost.client.Hand`; people use
`python -m hardware_mocks.cardhost --help`.
"""
