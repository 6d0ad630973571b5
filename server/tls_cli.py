# SPDX-License-Identifier: Apache-2.0
"""Commands about the server's TLS certificate: make one, and print the pin for terminals."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import click

from keys.tls import make_certificate, pin_of_pem
from server.console import Console, example, json_option, show
from server.errors import Refused

CERTIFICATE_FILE = "tls.crt"
KEY_FILE = "tls.key"
PRIVATE_MODE = 0o600


@click.group()
def tls() -> None:
    """服务器证书 The certificate by which terminals know this server."""


@tls.command(
    "make",
    epilog=example(
        "yika-server tls make yika.example.org 203.0.113.7",
        "yika-server tls make yika.example.org --name next",
    ),
)
@click.argument("names", nargs=-1, required=True)
@click.option("--name", "prefix", default="", help="prefix of the files, for a key to come")
@json_option
@click.pass_obj
def tls_make(console: Console, names: tuple[str, ...], prefix: str, as_json: bool) -> None:
    """生成证书 Make a key and a self-signed certificate in the data folder; never overwrites."""
    folder = console.config.data.dir
    stem = f"{prefix}-" if prefix else ""
    certificate_path, key_path = folder / (stem + CERTIFICATE_FILE), folder / (stem + KEY_FILE)
    now = dt.datetime.fromtimestamp(console.clock.utc_ms() / 1000, dt.UTC)
    certificate, key = make_certificate(names, now)
    folder.mkdir(parents=True, exist_ok=True)
    _write_new(key_path, key)
    _write_new(certificate_path, certificate)
    pin = pin_of_pem(certificate)
    document = {"certificate": str(certificate_path), "key": str(key_path), "pin": pin}
    show(document, f"{certificate_path}\n{key_path}\n{pin}", as_json=as_json)


@tls.command("pin", epilog=example("yika-server tls pin", "yika-server tls pin /etc/yika/tls.crt"))
@click.argument(
    "certificate", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@json_option
@click.pass_obj
def tls_pin(console: Console, certificate: Path | None, as_json: bool) -> None:
    """证书指纹 Print the pin for the terminals' configuration; the configured one unless named."""
    named = console.config.http.certificate
    path = certificate or (Path(named) if named else console.config.data.dir / CERTIFICATE_FILE)
    pin = pin_of_pem(path.read_bytes())
    show({"certificate": str(path), "pin": pin}, pin, as_json=as_json)


def _write_new(path: Path, content: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
    except FileExistsError as error:
        raise Refused(
            "exists", f"{path} 已存在", f"{path} exists; give --name for a key to come"
        ) from error
    with os.fdopen(handle, "wb") as file:
        file.write(content)
