# SPDX-License-Identifier: Apache-2.0
"""A chip card and a PSAM that really compute: the FMCOS 2.0 dialect in software.

The package has its own purse cryptography and imports nothing of the programs it is used to
check, so that a misreading of the specification cannot agree with itself. Start with
`hardware_mocks.cardos.cos.VirtualCard` and `hardware_mocks.cardos.psam.VirtualPsam`.
"""
