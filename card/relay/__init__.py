# SPDX-License-Identifier: Apache-2.0
"""The relay of a desk: a page carries bytes between the server and a reader on this computer.

It listens on the loopback address only, answers pages of named origins only, and only after a
person has typed the code it shows. It holds no key and understands no card: the server computes
every command.
"""
