"""Where the registry is kept: opening, transactions, migrations, backup, and the words for what a database refuses."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crosstalk.errors import OutputError, RegistryError, UsageError
from crosstalk.places import make_folder

try:
    from sqlalchemy import Connection, Engine, Select, create_engine, event, insert, inspect, select, text
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, SQLAlchemyError
except ModuleNotFoundError as missing:
    raise UsageError(
        f"the registry needs {missing.name}; install it with: pip install 'crosstalk-mdd[registry]'"
    ) from None

from crosstalk.registry.tables import HEAD, METADATA

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["VARIABLE", "Registry", "backup", "default_place", "open_registry", "outside", "restore", "upgrade"]

VARIABLE = "CROSSTALK_REGISTRY"
"""Environment variable that names the registry."""
WAIT_S = 30.0  # for another process to finish its writing
BACKENDS = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Registry:
    """An open registry.

    Attributes
    ----------
    engine : Engine
        Of SQLAlchemy.
    place : str
        Where it is, without a password.
    path : Path or None
        The file, if it is one.
    """

    engine: Engine
    place: str
    path: Path | None

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the registry.

        Raises
        ------
        RegistryError
            With what the database refused, and what to do.
        """
        with _told(self.place), self._connected() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection that alone writes; all of it is kept when the block ends, or nothing.

        Raises
        ------
        RegistryError
            With what the database refused, and what to do; nothing was changed then.
        """
        with _told(self.place), self._connected(writes=True) as connection, connection.begin():
            if self.path is None:
                # entries of the audit trail follow each other, so that one writer is let in at a time
                connection.execute(text("LOCK TABLE audit IN EXCLUSIVE MODE"))
            yield connection

    @contextlib.contextmanager
    def _connected(self, *, writes: bool = False) -> Iterator[Connection]:
        options = {"writes": writes} if self.path is not None else {"isolation_level": "REPEATABLE READ"}
        if writes and self.path is None:
            options = {"isolation_level": "READ COMMITTED"}
        with self.engine.connect() as plain:
            yield plain.execution_options(**options)

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def outside(registry: Registry) -> Iterator[Connection]:
    """A connection to an SQLite file without a transaction, for what cannot be done in one."""
    with registry.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        yield connection
        connection.exec_driver_sql("BEGIN")


def default_place() -> Path:
    """The file that is taken where none is named."""
    import platformdirs

    return Path(platformdirs.user_data_dir("crosstalk")) / "registry.sqlite"


def open_registry(database: str | Path | None = None, *, create: bool = False) -> Registry:
    """Open a registry.

    Parameters
    ----------
    database : str or Path, optional
        A file, or the address of a PostgreSQL database (``postgresql://user@host/name``). By default what the variable
        ``CROSSTALK_REGISTRY`` names, else a file in the user's data folder.
    create : bool
        Make it where there is none.

    Raises
    ------
    RegistryError
        If there is none, it is of another version, or cannot be opened.
    UsageError
        If the address is none.
    """
    registry = _engine(database or os.environ.get(VARIABLE) or default_place(), create=create)
    try:
        _check(registry, create=create)
    except BaseException:
        registry.close()
        raise
    return registry


def _check(registry: Registry, *, create: bool) -> None:
    """Whether the tables are those of this version; they are made where there are none."""
    with _told(registry.place), registry.engine.connect() as connection:
        version = _version(connection)
    if version is None:
        if not create:
            raise RegistryError(f"{registry.place}: holds no registry; `crosstalk registry add` makes one")
        _migrate(registry, "head")
        from crosstalk.registry.chain import append, count

        with registry.writing() as connection:
            if not count(connection):
                append(connection, "create")
    elif version != HEAD:
        older = version < HEAD
        raise RegistryError(
            f"{registry.place}: has tables of version {version}, expected {HEAD}; "
            + ("`crosstalk registry upgrade` brings them up" if older else "it was made by a newer Crosstalk, use that")
        )


def _engine(database: str | Path, *, create: bool) -> Registry:
    written = str(database)
    try:
        url = make_url(written) if "://" in written else make_url("sqlite://").set(database=written)
    except (ArgumentError, ValueError):
        raise UsageError(
            "the address of the registry cannot be read; expected a file, or postgresql://user@host/name"
        ) from None
    backend = url.get_backend_name()
    if backend not in BACKENDS:
        raise UsageError(f"--database names a {backend} database; expected one of {', '.join(BACKENDS)}, or a file")
    if backend == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
        words = url.set(drivername="postgresql").render_as_string(hide_password=True)
        try:
            engine = create_engine(
                url, pool_pre_ping=True,
                connect_args={"connect_timeout": 10, "options": f"-c lock_timeout={int(WAIT_S * 1000)}"},
            )  # fmt: skip
        except (ModuleNotFoundError, NoSuchModuleError):
            raise UsageError("PostgreSQL needs psycopg; install it with: pip install 'psycopg[binary]'") from None
        return Registry(engine, words, None)
    path = Path(url.database or "")
    if not url.database or url.database == ":memory:":
        raise UsageError("--database names no file; a registry is kept, so that it needs one")
    _make_file(path, create=create)
    engine = create_engine(url, connect_args={"timeout": WAIT_S, "isolation_level": None})
    event.listen(engine, "connect", _settle)
    event.listen(engine, "begin", _begin)
    return Registry(engine, str(path), path)


def _make_file(path: Path, *, create: bool) -> None:
    if path.is_dir():
        raise RegistryError(f"{path}: is a folder; name a file in it")
    if path.exists():
        return
    if not create:
        raise RegistryError(f"{path}: no such registry; `crosstalk registry add` makes one, or name another --database")
    try:
        if path == default_place():
            make_folder(path.parent)
        # the user's alone from the first byte on
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise OutputError(f"{path}: cannot be made ({error.strerror}); name another place with --database") from error


def _settle(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # a writer asks at once: one that began by reading could be refused without being let to wait
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def _told(place: str) -> Iterator[None]:
    """What the database says, in words for a person."""
    try:
        yield
    except DatabaseError as error:
        raise RegistryError(f"{place}: {_words(str(error.orig))}") from error
    except SQLAlchemyError as error:
        raise RegistryError(
            f"{place}: cannot be used ({type(error).__name__}: {error}); nothing was changed"
        ) from error


def _words(said: str) -> str:
    first = " ".join(said.split())[:200]
    remedies = {
        ("database is locked", "lock timeout"): f"another process has been writing for more than {WAIT_S:g} seconds; "
        "nothing was changed, try again",
        ("full", "No space left"): "there is no space left; nothing was changed and nothing is lost, free some and try "
        "again",
        ("readonly", "read-only", "permission denied"): "cannot be written; nothing was changed, check the permissions",
        ("unable to open",): "cannot be opened; check the path and the permissions",
        ("not a database", "malformed"): "is damaged, or no registry; take a backup with `crosstalk registry restore`",
        ("onnection", "does not exist", "authentication"): f"cannot be reached ({first}); check the address",
    }
    for signs, words in remedies.items():
        if any(sign in said for sign in signs):
            return words
    return f"was refused ({first}); nothing was changed"


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _migrate(registry: Registry, to: str) -> None:
    from alembic import command

    with _told(registry.place), registry._connected(writes=True) as connection, connection.begin():
        if registry.path is None:
            connection.execute(text("SELECT pg_advisory_xact_lock(7244)"))
        # another process may have been quicker
        if to != "head" or _version(connection) != HEAD:
            command.upgrade(_config(connection), to)


def upgrade(database: str | Path | None = None, *, to: str = "head") -> tuple[str, str]:
    """Bring an older registry to the tables of this version; a file is copied first.

    Returns
    -------
    (str, str)
        The version that it had, and where the copy is (empty for PostgreSQL, and where nothing was to do).
    """
    registry = _engine(database or os.environ.get(VARIABLE) or default_place(), create=False)
    with registry:
        with _told(registry.place), registry.engine.connect() as connection:
            version = _version(connection)
        if version is None:
            raise RegistryError(f"{registry.place}: holds no registry")
        if version == HEAD:
            return version, ""
        copy = ""
        if registry.path is not None:
            # whoever writes meanwhile is in the copy, or waits for the migration
            copy = str(registry.path.with_name(f"{registry.path.name}.before-{HEAD}"))
            _copy_file(registry, Path(copy))
        _migrate(registry, to)
    return version, copy


def _copy_file(registry: Registry, target: Path) -> None:
    """A whole copy of an SQLite file, whatever is in its journal."""
    if target.exists():
        raise RegistryError(f"{target}: is there already; move it, since a copy never replaces another")
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    with _told(str(target)), outside(registry) as connection:
        connection.exec_driver_sql("VACUUM INTO ?", (str(part),))
    part.chmod(0o600)
    part.replace(target)


def backup(registry: Registry, target: Path) -> int:
    """Write the whole registry, of whichever database, into a new SQLite file; return the number of its entries.

    Raises
    ------
    RegistryError
        If the file is there already, or the registry does not fit together.
    """
    if target.exists():
        raise RegistryError(f"{target}: is there already; a backup never replaces another, name a new file")
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        with registry.reading() as source, _engine(part, create=True) as copy:
            _migrate(copy, "head")
            entries = _copy_rows(source, copy)
            with _told(copy.place), outside(copy) as connection:
                # one file and no journal beside it
                connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
        part.replace(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror})") from error
    finally:
        for left in (part, part.with_name(f"{part.name}-wal"), part.with_name(f"{part.name}-shm")):
            left.unlink(missing_ok=True)
    return entries


def restore(source: Path, database: str | Path | None = None) -> int:
    """Fill an empty registry, of whichever database, from a backup; return the number of entries.

    Raises
    ------
    RegistryError
        If there is no such backup, it does not fit together, or the registry is not empty.
    """
    from crosstalk.registry.chain import faults

    with open_registry(source) as kept, kept.reading() as connection:
        wrong = faults(connection)
        if wrong:
            raise RegistryError(f"{source}: is no good backup: {'; '.join(wrong)}")
        with _engine(database or os.environ.get(VARIABLE) or default_place(), create=True) as target:
            _migrate(target, "head")
            return _copy_rows(connection, target)


def _copy_rows(source: Connection, target: Registry) -> int:
    """Copy every row and compare the two chains; all of it, or nothing."""
    from crosstalk.registry.chain import count, faults

    with target.writing() as connection:
        if count(connection):
            raise RegistryError(f"{target.place}: is not empty; restore into a new place, a registry is never replaced")
        for table in METADATA.sorted_tables:
            everything: Select[tuple[object, ...]] = select(table)
            rows = [dict(row) for row in source.execute(everything).mappings()]
            if rows:
                connection.execute(insert(table), rows)
        wrong = faults(connection)
        if wrong:
            raise RegistryError(f"the copy does not fit together: {'; '.join(wrong)}")
        return count(connection)
