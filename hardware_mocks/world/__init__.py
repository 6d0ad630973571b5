# SPDX-License-Identifier: Apache-2.0
"""A whole world in one thread: terminals, cards, links, disks, clocks and the real server.

A history is a list of steps as data. It follows from a seed, can be kept in a file, and played
again always does the same; what breaks an invariant is made shorter until every step is needed.
"""
