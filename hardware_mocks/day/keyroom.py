# SPDX-License-Identifier: Apache-2.0
"""Where the day's issuer keys are: in an encrypted file, or on a SoftHSM2 token of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path

import pkcs11

from keys.custody import KeyStore, open_store
from keys.store import FileKeyStore
from keys.surroundings import Surroundings
from keys.usage import SCHEME_USAGES

KINDS = ("file", "pkcs11")
MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
TOKEN = "yika-demo"  # noqa: S105 - the label of a token, no secret
UTILITY_TIMEOUT_S = 60
# SoftHSM2 takes PINs of 4 to 255 characters; these two live for a moment.
_FIRST_PIN_BYTES = 12
_DESK = "demo-desk"


class NoSoftHsm(RuntimeError):
    """SoftHSM2 is not installed."""

    def __init__(self) -> None:
        super().__init__(
            f"没有 SoftHSM2 / {MODULE} is not there: script/setup run pkcs11 installs softhsm2"
        )


def name_of(kind: str, folder: Path) -> str:
    """Give the name of the day's key store, as a server's configuration has it."""
    return f"pkcs11:{MODULE}?token={TOKEN}" if kind == "pkcs11" else str(folder / "keys.yks")


def make_keys(kind: str, folder: Path, passphrase: str) -> KeyStore:
    """Make a store with one fresh key of each usage; the passphrase is the token's PIN.

    For a token SOFTHSM2_CONF is set for this program and those it starts, before any of them
    loads the library.
    """
    around = Surroundings(_DESK, folder / "keys.audit")
    store: KeyStore
    if kind == "pkcs11":
        _make_token(folder / "hsm", passphrase)
        store = open_store(name_of(kind, folder), passphrase, around)
    else:
        store = FileKeyStore.create(name_of(kind, folder), passphrase, around=around)
    for usage in SCHEME_USAGES:
        store.generate(usage)
    return store


def _make_token(folder: Path, pin: str) -> None:
    """Set up a token in a folder; its PIN is changed at once, the first one stood in arguments."""
    utility = shutil.which("softhsm2-util")
    if utility is None or not MODULE.exists():
        raise NoSoftHsm
    (folder / "tokens").mkdir(parents=True, mode=0o700)
    file = folder / "softhsm2.conf"
    file.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n", "utf-8")
    os.environ["SOFTHSM2_CONF"] = str(file)
    first, officer = (secrets.token_hex(_FIRST_PIN_BYTES) for _ in range(2))
    command = [utility, "--init-token", "--free", "--label", TOKEN]
    subprocess.run(
        [*command, "--pin", first, "--so-pin", officer],
        check=True,
        capture_output=True,
        timeout=UTILITY_TIMEOUT_S,
    )
    with pkcs11.lib(str(MODULE)).get_token(token_label=TOKEN).open(rw=True, user_pin=first) as one:
        one.set_pin(first, pin)
