# SPDX-License-Identifier: Apache-2.0
"""The hand that holds the cards: a process that puts card images into virtual reader slots.

It listens on a UNIX socket for one JSON object a line and answers each with one:

    {"do": "blank", "card": "v01"}                     make a blank card ("kind": card, iso, psam)
    {"do": "insert", "slot": "pos-a", "card": "v01"}   put a card on the reader
    {"do": "remove", "slot": "pos-a"}                  take it away
    {"do": "tear", "slot": "pos-a", "when": "debit-lost"}   have it pulled off at that moment
    {"do": "list"}                                     slots, and the cards in the folder

The answer is {"ok": true, …} or {"ok": false, "error": "…"}. Moments of a tear: before-debit,
in-debit (while the card writes), debit-lost (the card has committed, the answer is lost), now
(at the next command). Programs use `hardware_mocks.cardhost.client.Hand`; people use
`python -m hardware_mocks.cardhost --help`.
"""
