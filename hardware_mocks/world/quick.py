# SPDX-License-Identifier: Apache-2.0
"""The server's database in memory, at a fraction of what the same statements cost otherwise.

One connection stays open, and a statement that stands in a module ("written once") is compiled
once: after that SQLite gets its text and its values, and nothing is asked of SQLAlchemy any more.
Everything else, all objects and all units of work, goes its usual way.
"""

from __future__ import annotations

import sqlite3
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler

from server.db import Database

PACKAGES = ("server.", "hardware_mocks.world.")


class WorldDialect(SQLiteDialect_pysqlite):
    """SQLite whose transactions are parts of one that is never committed, and may die."""

    supports_statement_cache = True
    at_commit: Callable[[], None] | None = None
    within = False

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begin; the driver does not."""
        dbapi_connection.execute("SAVEPOINT unit")
        self.within = True

    def do_commit(self, dbapi_connection: Any) -> None:
        """Commit, unless the server dies before."""
        try:
            if self.at_commit is not None:
                self.at_commit()
        except BaseException:
            self.do_rollback(dbapi_connection)
            raise
        if self.within:
            self.within = False
            dbapi_connection.execute("RELEASE unit")

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Take back what the unit of work wrote."""
        if self.within:
            self.within = False
            dbapi_connection.execute("ROLLBACK TO unit")
            dbapi_connection.execute("RELEASE unit")


registry.register("sqlite.world", __name__, WorldDialect.__name__)


def _connected(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("foreign_keys = ON", "recursive_triggers = ON", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


class QuickDatabase(Database):
    """The database of a world: one connection, one thread."""

    def __init__(self) -> None:
        super().__init__("sqlite://")
        self.engine = sa.create_engine(
            "sqlite+world://", poolclass=sa.StaticPool, hide_parameters=True
        )
        event.listen(self.engine, "connect", _connected)
        self._line = self.engine.connect()

    def keep(self) -> None:
        """Let everything that follows be put back."""
        self._raw().execute("BEGIN")

    def back(self) -> None:
        """Put everything back to how it was when it was kept."""
        self._raw().execute("ROLLBACK")
        self._raw().execute("BEGIN")

    def orphans(self) -> list[Any]:
        """Return rows that point at nothing: what is deferred is not looked at before a commit."""
        return self._raw().execute("PRAGMA foreign_key_check").fetchall()

    def _raw(self) -> sqlite3.Connection:
        raw = self._line.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        return raw

    def crash_at(self, moment: Callable[[], None]) -> None:
        """Call something before each commit: what it raises is the server's death."""
        dialect = self.engine.dialect
        assert isinstance(dialect, WorldDialect)
        dialect.at_commit = moment

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a unit of work that commits at its end and rolls back on any exception."""
        with QuickSession(self._line) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a unit of work for reading; whatever it wrote is rolled back."""
        with QuickSession(self._line) as session:
            try:
                yield session
            finally:
                session.rollback()


class QuickRows:
    """What a written-once statement found: as much of SQLAlchemy's result as the server uses."""

    def __init__(self, rows: list[Any], count: int) -> None:
        self._rows = rows
        self.rowcount = count

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> list[Any]:
        """Return all rows."""
        return self._rows

    def first(self) -> Any:
        """Return the first row, None if there is none."""
        return self._rows[0] if self._rows else None

    def one(self) -> Any:
        """Return the only row.

        Raises:
            NoResultFound, MultipleResultsFound: It is not the only one.
        """
        if len(self._rows) == 1:
            return self._rows[0]
        wrong = sa.exc.MultipleResultsFound if self._rows else sa.exc.NoResultFound
        raise wrong(f"{len(self._rows)} rows where one was expected")

    def one_or_none(self) -> Any:
        """Return the only row, None if there is none."""
        return self.one() if self._rows else None

    def scalars(self) -> QuickRows:
        """Return the first column of every row."""
        return QuickRows([row[0] for row in self._rows], self.rowcount)

    def scalar_one(self) -> Any:
        """Return the first column of the only row; raises as `one`."""
        return self.one()[0]

    def scalar(self) -> Any:
        """Return the first column of the first row, None if there is none."""
        return self._rows[0][0] if self._rows else None


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement as SQLite takes it: its text, and for each `?` where the value comes from."""

    sql: str
    values: tuple[tuple[str, int | None, Any], ...]  # parameter, place in its list, processor


@dataclass(slots=True)
class _Plan:
    """A written-once statement, compiled."""

    statement: sa.Executable  # kept, so that its place in memory stays its own
    compiled: SQLCompiler
    preset: dict[str, Any]
    lists: tuple[str, ...]
    row: Any
    cells: tuple[Any, ...]
    texts: dict[tuple[int, ...], _Text] = field(default_factory=dict)

    def text(self, given: dict[str, Any]) -> _Text:
        """Return the text for parameters: lists of other lengths have another one."""
        sizes = tuple([len(given[name]) for name in self.lists]) if self.lists else ()
        found = self.texts.get(sizes)
        if found is None:
            found = self.texts[sizes] = self._written(given)
        return found

    def _written(self, given: dict[str, Any]) -> _Text:
        compiled = self.compiled
        processors = compiled._bind_processors
        if not self.lists:
            plain = tuple((name, None, processors.get(name)) for name in compiled.positiontup or ())
            return _Text(compiled.string, plain)
        expanded = compiled._process_parameters_for_postcompile(
            {**self.preset, **{name: given[name] for name in self.lists}}
        )
        places = {
            part: (name, at)
            for name, parts in expanded.parameter_expansion.items()
            for at, part in enumerate(parts)
        }
        found = {**processors, **expanded.processors}
        names = expanded.positiontup or ()
        values = tuple((*places.get(name, (name, None)), found.get(name)) for name in names)
        return _Text(expanded.statement, values)

    def run(self, raw: sqlite3.Connection, given: dict[str, Any]) -> QuickRows:
        """Run it."""
        given = {**self.preset, **given}
        for name in self.lists:
            given[name] = list(given[name])
        text = self.text(given)
        values = []
        for name, at, processor in text.values:
            value = given[name] if at is None else given[name][at]
            values.append(value if processor is None or value is None else processor(value))
        cursor = raw.execute(text.sql, values)
        if self.row is None:
            return QuickRows([], cursor.rowcount)
        rows = cursor.fetchall()
        for at, processor in self.cells:
            pick = itemgetter(at)
            rows = [(*row[:at], processor(pick(row)), *row[at + 1 :]) for row in rows]
        return QuickRows([self.row(row) for row in rows], cursor.rowcount)


class QuickSession(Session):
    """A session that compiles each statement for columns once, and runs it without ceremony."""

    def execute(self, statement: Any, params: Any = None, **given: Any) -> Any:
        """Run a statement, as a session does."""
        quick = None if given else self._quickly(statement, params)
        return super().execute(statement, params, **given) if quick is None else quick

    def scalar(self, statement: Any, params: Any = None, **given: Any) -> Any:
        """Return the first column of the first row."""
        quick = None if given else self._quickly(statement, params)
        return super().scalar(statement, params, **given) if quick is None else quick.scalar()

    def scalars(self, statement: Any, params: Any = None, **given: Any) -> Any:
        """Return the first column of every row."""
        quick = None if given else self._quickly(statement, params)
        return super().scalars(statement, params, **given) if quick is None else quick.scalars()

    def _quickly(self, statement: Any, params: Any) -> QuickRows | None:
        """Run a statement that has a plan; None for any other."""
        given = params or {}
        if not isinstance(given, dict):
            return None
        plan = _PLANS.get(id(statement))
        values: Mapping[str, Any] = {}
        if plan is None:
            plan, values = _of_its_shape(statement)
            if plan is None:
                return None
        self._autoflush()
        raw = self.connection().connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        return plan.run(raw, {**values, **given})


def _of_its_shape(statement: Any) -> tuple[_Plan | None, Mapping[str, Any]]:
    """Return the plan of a statement that differs from an older one in its values only."""
    if not isinstance(statement, sa.Select) or statement._execution_options:
        return None, {}
    shape = statement._generate_cache_key()
    if shape is None:
        return None, {}
    if shape.key not in _SHAPES:
        _SHAPES[shape.key] = _planned(statement, shape)
    plan = _SHAPES[shape.key]
    if plan is None:
        return None, {}
    return plan, plan.compiled.construct_params(extracted_parameters=shape.bindparams, _check=False)


_DIALECT = WorldDialect()
_PLANS: dict[int, _Plan] = {}
_SHAPES: dict[Any, _Plan | None] = {}


def prepare() -> None:
    """Compile every statement that stands in a module of the server or the world."""
    for name, module in list(sys.modules.items()):
        if name.startswith(PACKAGES):
            for value in vars(module).values():
                plan = _planned(value)
                if plan is not None:
                    _PLANS[id(value)] = plan


def _planned(statement: object, shape: Any = None) -> _Plan | None:
    """Return the plan of a statement, None for what is none or gives objects."""
    selected = isinstance(statement, sa.Select)
    if not isinstance(statement, sa.Select | sa.Delete):
        return None
    if isinstance(statement, sa.Select) and any(map(_is_object, statement.column_descriptions)):
        return None
    try:
        compiled = statement._compiler(_DIALECT, cache_key=shape)
    except sa.exc.UnsupportedCompilationError:
        return None  # PostgreSQL's own
    assert isinstance(compiled, SQLCompiler)
    columns = compiled._result_columns if selected else ()
    kinds = [column.type.dialect_impl(_DIALECT) for column in columns]
    processors = [kind.result_processor(_DIALECT, None) for kind in kinds]
    row = _row([column.keyname for column in columns])
    return _Plan(
        statement=statement,
        compiled=compiled,
        preset=dict(compiled.construct_params(_check=False)),
        lists=tuple(compiled.bind_names[bind] for bind in compiled.post_compile_params),
        row=row._make if selected else None,
        cells=tuple((at, found) for at, found in enumerate(processors) if found is not None),
    )


def _row(names: list[str]) -> Any:
    """Make the class of a statement's rows: values by place, name, and `_mapping`."""
    named: Any = namedtuple
    plain = named("Row", names, rename=True)
    return type("Row", (plain,), {"__slots__": (), "_mapping": property(plain._asdict)})


def _is_object(column: Any) -> bool:
    return column["expr"] is column.get("entity")
