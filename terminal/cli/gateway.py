# SPDX-License-Identifier: Apache-2.0
"""The command `gateway`: the far end of a terminal's serial uplink."""

from __future__ import annotations

import logging
import signal
import sys

import click

from keys.tls import is_pin
from swipe.serial_link import repeat_s
from terminal.config_rules import BAUDS, is_plain_abroad, is_server_address
from terminal.gateway import Gateway
from terminal.serial_line import SerialLine
from terminal.transport import HttpTransport, Trust

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


@click.command()
@click.option("--serial", "device", required=True, metavar="tty:/dev/…", help="the serial line")
@click.option("--server", "url", required=True, metavar="URL", help="where to forward to")
@click.option("--baud", type=click.Choice([str(baud) for baud in BAUDS]), default="115200")
@click.option("--pin", "pins", multiple=True, help="key that HTTPS must show; may be repeated")
@click.option("--timeout", "timeout_s", type=click.IntRange(1, 120), default=10, show_default=True)
@click.option("--plain-http", is_flag=True, help="allow http: to another machine")
@click.option("--verbose", "-v", is_flag=True, help="log what goes wrong at the server")
def gateway(device: str, url: str, baud: str, pins: tuple[str, ...], **named: int | bool) -> None:
    """Forward a terminal's requests from a serial line to the server, until SIGTERM.

    串口网关：没有网络的终端经串口上传；本程序不持密钥，不必可信。

    Example: yika-terminal gateway --serial tty:/dev/ttyUSB0 --server https://yika.example.org
    """
    if not device.startswith("tty:/"):
        raise click.BadParameter("tty:/dev/…", param_hint="--serial")
    if not is_server_address(url) or url.startswith("serial:"):
        raise click.BadParameter("an http or https address", param_hint="--server")
    if is_plain_abroad(url) and not named["plain_http"]:
        raise click.BadParameter(
            "http to another machine needs --plain-http; better https with --pin",
            param_hint="--server",
        )
    if not all(map(is_pin, pins)):
        raise click.BadParameter("sha256: and 64 hex digits", param_hint="--pin")
    level = logging.INFO if named["verbose"] else logging.WARNING
    logging.basicConfig(level=level, format=LOG_FORMAT, stream=sys.stderr)
    line = SerialLine(device, int(baud))
    served = Gateway(line, HttpTransport(url, named["timeout_s"], Trust(pins)), repeat_s(int(baud)))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: served.stop())
    served.run()
    line.close()
