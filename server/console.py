# SPDX-License-Identifier: Apache-2.0
"""What the commands of yika-server share: configuration, database, who acts, how to answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
from sqlalchemy.orm import Session

from server import schema
from server.clock import Clock, SystemClock
from server.config import Config
from server.db import Database
from server.errors import ConfigError
from server.runtime import Runtime, open_runtime

# Who acts when a command names nobody: whoever may use the shell of the server.
CONSOLE_ACTOR = "console"

json_option = click.option("--json", "as_json", is_flag=True, help="answer in JSON")


@dataclass(frozen=True)
class Console:
    """The object that every command gets by `click.pass_obj`."""

    config: Config
    clock: Clock = field(default_factory=SystemClock)

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Open the configured database; refuse one whose schema is not current."""
        try:
            database = Database(self.config.database_url)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        try:
            found = schema.current_revision(database)
            if found != schema.newest_revision():
                raise ConfigError(
                    f"{database.shown_url}: schema {found or 'missing'}, "
                    f"needed {schema.newest_revision()}: run yika-server init"
                )
            yield database
        finally:
            database.close()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open one writing unit of work on the configured database."""
        with self.database() as database, database.writing() as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open one reading unit of work on the configured database."""
        with self.database() as database, database.reading() as session:
            yield session

    @contextmanager
    def runtime(self) -> Iterator[Runtime]:
        """Open everything, with the key store, for commands that seal or open personal data."""
        opened = open_runtime(self.config, self.clock)
        try:
            yield opened
        finally:
            opened.close()


def example(*lines: str) -> str:
    """Return the example that ends a help text."""
    return "\n".join(("\b", "例 Example:", *(f"  {line}" for line in lines)))


def show(document: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Answer: one line of JSON for machines, text for people."""
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else text)
