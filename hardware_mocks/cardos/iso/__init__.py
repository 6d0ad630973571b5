# SPDX-License-Identifier: Apache-2.0
"""A plain ISO/IEC 7816-4 card behind the same shell: no purse, no key file, no line protection.

It exists so that a second driver has something else to drive: class byte 00 alone, file control
templates instead of seven header bytes, PINs and keys that the manufacturer put in, a read past
the end answered with what there is and 6282. Start with `hardware_mocks.cardos.iso.card.IsoCard`.
"""
