# SPDX-License-Identifier: Apache-2.0
"""Cards to test with: by name, by the thousand, and a general purse beside the volunteer card.

`named.card("minor")` gives one volunteer card in a known state, `fleet.fleet(n)` gives many that
differ in everything a card differs in, `wallet.issue` makes a purse card with PIN, load and
unload under 3DES or SM4.
"""
