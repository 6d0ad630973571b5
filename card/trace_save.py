# SPDX-License-Identifier: Apache-2.0
"""A trace in the form that its file's name asks for."""

from __future__ import annotations

from pathlib import Path

from card import pcapng, trace_file, trace_page
from card.decode import describe_tape
from card.trace import Exchange, Tape

PAGE, CAPTURE = (".html", ".htm"), (".pcapng",)


def save_as(tape: Tape, path: Path) -> None:
    """Write a tape: `.html` a page for people, `.pcapng` for Wireshark, else a cassette.

    Raises:
        OSError: It cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix in PAGE:
        trace_page.save(tape, path)
    elif suffix in CAPTURE:
        words = {id(item): "\n".join(found.lines()) for item, found in describe_tape(tape)}

        def comment(item: Exchange) -> str:
            return words[id(item)]

        pcapng.save(tape, path, comment)
    else:
        trace_file.save(tape, path)
