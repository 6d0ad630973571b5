# SPDX-License-Identifier: Apache-2.0
"""Pictures of the terminal's displays: every state, as both displays' own bytes give it.

The text is what the mock of the serial display read from the frame, the pixels are what the mock of
the bitmap's controller holds after its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from hardware_mocks.bitmap import HEIGHT, WIDTH, St7920
from hardware_mocks.lcd import COLUMNS, FrameParser, columns
from terminal import screen
from terminal.config_sections import DisplaySection
from terminal.decommission import Decommissioned
from terminal.devices.raster import Raster, best_face
from terminal.devices.st7920 import ROW_BYTES, ROWS, row_update, start_up
from terminal.errors import ReceiptRefused, Refused, Untrusted
from terminal.modes import power_on, screens
from terminal.modes.policy import Panel, Stage
from terminal.modes.screens import Health, Inquiry, Totals, View
from terminal.modes.sheet_policy import Form
from terminal.policy import Mode, Say
from terminal.screen import Led, Note, Screen, Standing
from terminal.wording_table import ACCEPTED_WORDS, SHEETS, WARNINGS

FONT = Path(DisplaySection().font)
SCALE, MARGIN, TITLE, ACROSS = 2, 8, 20, 2
CELL = 8  # pixels of a column of the text display
LAMPS = {
    Led.WHITE: "#ffffff",
    Led.BLUE: "#3b7dff",
    Led.GREEN: "#2fbf4f",
    Led.GREEN_TWICE: "#2fbf4f",
    Led.AMBER: "#ffb000",
    Led.RED: "#ff3b30",
    Led.RED_BLINK: "#ff3b30",
}
NOTE = Note(clock="09:02", name="林**", place="公园导览 Park guide")
SHEETS_OF = ("accepted", "refused", "keys", "stages")
TYPED = {Stage.CODE: "1024", Stage.PIN: "1234"}
SHEET_TYPED = ("17", "1120", "0900", "1130", "120", "42")
PROBLEMS = (Refused(401), ReceiptRefused("signature"), Untrusted("pin"))


def states() -> Iterator[tuple[str, str, Screen]]:
    """Give sheet, name and screen of every state."""
    online = Standing("09:01", Mode.AUTO, "莲花山 Lianhua", 0, 0, online=True)
    yield "accepted", "idle", screen.idle(online)
    waiting = Standing("14:20", Mode.IN, "莲花山 Lianhua", 12, 300, online=False)
    yield "accepted", "idle, off line", screen.idle(waiting)
    yield "accepted", "reading", screen.reading()
    for say in ACCEPTED_WORDS:
        stay_s = 12_540 if say is Say.OUT else None
        note = Note("12:31" if stay_s else "09:02", NOTE.name, NOTE.place, stay_s)
        yield "accepted", say.name, screen.message(say, note)
    yield "accepted", "DUPLICATE", screen.message(Say.DUPLICATE, replace(NOTE, may_undo=True))
    yield "accepted", "DUPLICATE, no undo", screen.message(Say.DUPLICATE, NOTE)
    yield "accepted", "inquiry", screens.inquiry(Inquiry("林**", 209, 7710, 3, "12.5"))
    yield "accepted", "settled", screens.settled(Totals(12, 11, 1, "equal"))
    for say, sheet in SHEETS.items():
        name = f"{sheet.code} {say.name}" if sheet.code else say.name
        yield ("refused" if sheet.code else "keys"), name, screen.message(say, NOTE)
    for mode in Mode:
        yield "keys", f"mode {mode.name}", screen.mode_changed(mode)
    for name, shown in stages():
        yield "stages", name, shown


def stages() -> Iterator[tuple[str, Screen]]:
    """Give name and screen of all that the keys lead to, and of what the idle screen warns of."""
    view = View(Totals(12, 11, 1), Health(3, "2h", 1204, "14:20"), ("明天停电 请早到",))
    for stage in Stage:
        panel = Panel(stage, typed=TYPED.get(stage, ""), minors=frozenset({1, 2}))
        shown = screens.stage_screen(panel, view)
        if shown is not None and stage is not Stage.SHEET:
            yield stage.name.lower(), shown
    yield "menu, key 0", _staged(Panel(Stage.MENU, page=1))
    yield "no messages", _staged(Panel(Stage.MESSAGES))
    unequal = Totals(12, 11, 1, "unequal", 4, "服务器 12/10/1")
    yield "settlement, unequal", screens.settled(unequal)
    bad = Health(3, "2h", 1204, "14:20", (("printer", "paper-out"),))
    yield "status, a part failed", screens.status(bad)
    for number in range(len(SHEET_TYPED) + 1):
        typed = (*SHEET_TYPED, "")[number]
        form = Form(SHEET_TYPED[:number])
        yield f"sheet {number + 1}", _staged(Panel(Stage.SHEET, typed=typed, form=form))
    yield "self-test, fine", screens.checked("reader", passed=True)
    yield "self-test, failed", screens.checked("psam", passed=False)
    yield "card left lying", power_on.lift_first()
    yield "retired", power_on.cannot_start(Decommissioned.short)
    yield "query, off line", screens.inquiry(Inquiry("林**", 209, last="上次签到 IN 09:02"))
    idle = Standing("14:20", Mode.AUTO, "莲花山 Lianhua", 12, 300)
    for name, words in WARNINGS.items():
        line = words.format(80, 80).split("|")[0]
        yield f"idle, {name}", screen.idle(replace(idle, lines=(line,), turn=1))
    for problem in PROBLEMS:
        standing = replace(idle, problem=problem.short)
        yield f"idle, {type(problem).__name__}", screen.idle(standing)
        yield (
            f"idle, {type(problem).__name__}, a moment later",
            screen.idle(replace(standing, turn=1)),
        )


def _staged(panel: Panel) -> Screen:
    shown = screens.stage_screen(panel, View())
    if shown is None:
        raise ValueError(f"{panel.stage} has no screen of its own")
    return shown


def sheet(shown: Sequence[tuple[str, Screen]]) -> Image.Image:
    """Draw one sheet of states, the text display left and the bitmap right."""
    raster = Raster(FONT)
    tiles = [_tile(name, state, raster) for name, state in shown]
    wide, high = tiles[0].size
    rows = -(-len(tiles) // ACROSS)
    whole = Image.new("RGB", (ACROSS * wide, rows * high), "#202428")
    for number, tile in enumerate(tiles):
        whole.paste(tile, (number % ACROSS * wide, number // ACROSS * high))
    return whole.quantize(128, method=Image.Quantize.FASTOCTREE)


def write_all(folder: Path) -> list[Path]:
    """Write all sheets as PNG; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in SHEETS_OF:
        chosen = [(title, state) for which, title, state in states() if which == name]
        path = folder / f"terminal-{name}.png"
        sheet(chosen).save(path, optimize=True)
        written.append(path)
    return written


def _tile(name: str, state: Screen, raster: Raster) -> Image.Image:
    text, bitmap = _text(state), _bitmap(state, raster)
    wide = (text.width + bitmap.width) + 3 * MARGIN
    tile = Image.new("RGB", (wide, text.height + TITLE + 2 * MARGIN), "#202428")
    pen = ImageDraw.Draw(tile)
    pen.ellipse((MARGIN, MARGIN, MARGIN + 12, MARGIN + 12), fill=LAMPS[state.led])
    label = f"{name} · {state.led.name} · tone {state.tone.name}"
    font = ImageFont.truetype(str(FONT), 13, best_face(FONT))
    pen.text((MARGIN + 20, MARGIN - 4), label, fill="#d8dee4", font=font)
    tile.paste(text, (MARGIN, MARGIN + TITLE))
    tile.paste(bitmap, (2 * MARGIN + text.width, MARGIN + TITLE))
    return tile


def _text(state: Screen) -> Image.Image:
    """Draw what the serial display read from the frame."""
    (frame,) = FrameParser().feed(state.to_frame())
    image = Image.new("RGB", (COLUMNS * CELL * SCALE, HEIGHT * SCALE), "#0a3d1a")
    pen = ImageDraw.Draw(image)
    font = ImageFont.truetype(str(FONT), 2 * CELL * SCALE - 4, best_face(FONT))
    for number, line in enumerate(frame.lines):
        x = 0
        for char in line:
            pen.text((x + 1, number * 16 * SCALE - 5), char, fill="#c8ff9a", font=font)
            x += columns(char) * CELL * SCALE
    return image


def _bitmap(state: Screen, raster: Raster) -> Image.Image:
    """Draw what the controller holds after the bytes of the driver."""
    picture, panel = raster.picture(state.lines), St7920()
    panel.feed(start_up())
    for row in range(ROWS):
        panel.feed(row_update(row, picture[row * ROW_BYTES : (row + 1) * ROW_BYTES]))
    dots = Image.frombytes("1", (WIDTH, HEIGHT), panel.picture())
    shape = dots.resize((WIDTH * SCALE, HEIGHT * SCALE))
    image = Image.new("RGB", shape.size, "#9fc52b")
    image.paste("#15240a", mask=shape)
    return image
