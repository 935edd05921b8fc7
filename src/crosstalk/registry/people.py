"""People in the registry: what is written about them, read, exported, and forgotten."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select

from crosstalk.errors import RegistryError, UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.limits import WEEKS, shown
from crosstalk.panel.records import Panel
from crosstalk.population.calibrated import shipped_posterior
from crosstalk.provenance import hash_bytes
from crosstalk.registry.chain import append, canonical, row_hash
from crosstalk.registry.database import Registry, outside
from crosstalk.registry.pseudonyms import Key
from crosstalk.registry.tables import AUDIT, FORECAST, FROZEN, GIVEN, OF_PERSON, PANEL, PERSON, SCORE
from crosstalk.report.documents import dump
from crosstalk.twin.records import Forecast

__all__ = ["Listed", "Register", "nameless", "posterior_hash"]

KEPT = ("value", "censored", "specimen", "method", "time_h", "lod", "upper", "log_sd", "quality")


@dataclass(frozen=True, slots=True)
class Listed:
    """One person of a list: how many rows of each kind, and the day of the first entry."""

    pseudonym: str
    since: str
    panels: int
    forecasts: int
    regimens: str
    scores: int


def nameless(panel: Panel, pseudonym: str) -> Panel:
    """A panel that holds values and nothing else of the file: no id, no other columns, no remarks, no places."""
    values = {a: replace(m, given="", place="", remarks=()) for a, m in panel.measurements.items()}
    return Panel(pseudonym, values)


def posterior_hash(knowledge: Knowledge) -> str:
    """SHA-256 of the file of the posterior in force; empty where the priors speak."""
    found, reason = shipped_posterior(knowledge)
    return "" if found is None or reason else hash_bytes(found.path.read_bytes())


class Register:
    """What can be done with the people of a registry.

    Parameters
    ----------
    registry : Registry
    key : Key, optional
        To find people by the ids of files; without it they are found by pseudonym alone.
    knowledge : Knowledge, optional
    """

    def __init__(self, registry: Registry, key: Key | None = None, knowledge: Knowledge | None = None) -> None:
        self.registry, self.key = registry, key
        self._knowledge = knowledge

    @property
    def knowledge(self) -> Knowledge:
        """What regimens and scales there are."""
        return self._knowledge or load_knowledge()

    def pseudonym(self, person: str) -> str:
        """The pseudonym of an id of a file; a pseudonym stays what it is."""
        return person if self.key is None else self.key.pseudonym(person)

    def add(self, person: str, panel: Panel, forecast: Forecast | None = None) -> str:
        """Keep a panel, and the forecast that was made of it; return the pseudonym.

        Parameters
        ----------
        panel : Panel
            See `nameless`.
        forecast : Forecast, optional
            Of this very panel.

        Raises
        ------
        RegistryError
            If the forecast is that of someone else, or the key is that of another registry.
        """
        name = self.pseudonym(person)
        if forecast is not None and forecast.patient != name:
            raise RegistryError(f"{name}: the forecast is of {shown(forecast.patient)}; make it of the nameless panel")
        with self.registry.writing() as connection:
            self._check_key(connection)
            number = self._number(connection, name)
            if number is None:
                number, _ = append(connection, "person")
                # the trail holds the number alone, so that it may stay when the person goes
                connection.execute(insert(PERSON).values(number=number, pseudonym=name))
            values = {a: {k: getattr(m, k) for k in KEPT} for a, m in panel.measurements.items()}
            place = self._write(connection, PANEL, number, content=canonical(values))
            if forecast is not None:
                p = forecast.provenance
                self._write(
                    connection, FORECAST, number, panel=place, scale=forecast.scale, baseline=forecast.baseline.mean,
                    crosstalk=p.crosstalk, model_sha256=p.model_sha256, knowledge_sha256=p.knowledge_sha256,
                    posterior_sha256=posterior_hash(self.knowledge), content=dump(forecast),
                )  # fmt: skip
        return name

    def give(self, person: str, regimen: str, week: float = 0.0) -> str:
        """Note which regimen a person got, and from which week after the baseline on."""
        found = self.knowledge.regimen(regimen).id
        _check_week(week, least=0.0)
        return self._add(person, GIVEN, regimen=found, week=float(week))

    def score(self, person: str, week: float, scale: str, value: float) -> str:
        """Note a score that was seen so many weeks after the baseline.

        Raises
        ------
        UsageError
            If the scale is unknown, or the score is none of its.
        """
        found = self.knowledge.scale(scale)
        _check_week(week, least=1.0)
        if not 0 <= value <= found.maximum:
            raise UsageError(f"{found.id} runs from 0 to {found.maximum:g}, received {value:g}; correct the score")
        with self.registry.writing() as connection:
            number = self._known(connection, person)
            same = select(SCORE.c.value).where(
                SCORE.c.person == number, SCORE.c.scale == found.id, SCORE.c.week == float(week)
            )
            before = connection.execute(same).scalar()
            if before is not None:
                raise RegistryError(
                    f"{self.pseudonym(person)}: has a {found.id} of {before:g} at week {week:g} already; what was "
                    "written stays, as it may have been judged"
                )
            self._write(connection, SCORE, number, scale=found.id, week=float(week), value=float(value))
        return self.pseudonym(person)

    def people(self) -> tuple[Listed, ...]:
        """Everyone, in the order of their first entries."""
        with self.registry.reading() as connection:
            day = select(AUDIT.c.at).where(AUDIT.c.number == PERSON.c.number).scalar_subquery()
            rows = connection.execute(select(PERSON, day.label("at")).order_by(PERSON.c.number)).all()
            counts: dict[str, dict[int, int]] = {
                t.name: dict(connection.execute(select(t.c.person, func.count()).group_by(t.c.person)).all())
                for t in (PANEL, FORECAST, SCORE)
            }
            given: dict[int, list[str]] = {}
            for person, regimen in connection.execute(select(GIVEN.c.person, GIVEN.c.regimen).order_by(GIVEN.c.week)):
                given.setdefault(person, []).append(regimen)
        return tuple(
            Listed(
                row.pseudonym, row.at[:10], counts["panel"].get(row.number, 0), counts["forecast"].get(row.number, 0),
                ", then ".join(given.get(row.number, [])), counts["score"].get(row.number, 0),
            )
            for row in rows
        )  # fmt: skip

    def export(self, person: str) -> dict[str, Any]:
        """Everything about a person, as JSON holds it: for himself, or to be moved."""
        with self.registry.reading() as connection:
            number = self._known(connection, person)
            found: dict[str, Any] = {"pseudonym": self.pseudonym(person), "person": number}
            for table in OF_PERSON:
                rows = connection.execute(select(table).where(table.c.person == number).order_by(table.c.number))
                found[table.name] = [_readable(row) for row in rows.mappings()]
            trail = connection.execute(select(AUDIT).where(AUDIT.c.person == number).order_by(AUDIT.c.number))
            found["audit"] = [{**row, "detail": json.loads(row["detail"])} for row in trail.mappings()]
        with self.registry.writing() as connection:
            append(connection, "export", number)
        return found

    def forget(self, person: str) -> str:
        """Remove everything about a person; the trail keeps that there was one, by a number that leads nowhere.

        The bytes are overwritten in an SQLite file. Backups that were made before still hold them.
        """
        name = self.pseudonym(person)
        with self.registry.writing() as connection:
            number = self._known(connection, person)
            for table in OF_PERSON:
                connection.execute(delete(table).where(table.c.person == number))
            connection.execute(delete(PERSON).where(PERSON.c.number == number))
            append(connection, "forget", number)
        if self.registry.path is not None:
            # the journal holds what was there before
            with outside(self.registry) as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return name

    def trail(self, person: str | None = None) -> tuple[dict[str, Any], ...]:
        """Entries of the audit trail, of all or of one person, oldest first."""
        with self.registry.reading() as connection:
            wanted = select(AUDIT).order_by(AUDIT.c.number)
            if person is not None:
                wanted = wanted.where(AUDIT.c.person == self._known(connection, person))
            return tuple({**row, "detail": json.loads(row["detail"])} for row in connection.execute(wanted).mappings())

    def counts(self) -> dict[str, int]:
        """Rows of each table."""
        with self.registry.reading() as connection:
            return {
                t.name: int(connection.execute(select(func.count()).select_from(t)).scalar_one())
                for t in (PERSON, *OF_PERSON, FROZEN, AUDIT)
            }

    def _add(self, person: str, table: Table, **content: Any) -> str:
        with self.registry.writing() as connection:
            self._write(connection, table, self._known(connection, person), **content)
        return self.pseudonym(person)

    def _write(self, connection: Connection, table: Table, person: int, **content: Any) -> int:
        nonce = secrets.token_hex(16)
        digest = row_hash(nonce, content)
        number, _ = append(connection, table.name, person, sha256=digest)
        connection.execute(insert(table).values(number=number, person=person, nonce=nonce, sha256=digest, **content))
        return number

    def _number(self, connection: Connection, pseudonym: str) -> int | None:
        return connection.execute(select(PERSON.c.number).where(PERSON.c.pseudonym == pseudonym)).scalar()

    def _known(self, connection: Connection, person: str) -> int:
        number = self._number(connection, self.pseudonym(person))
        if number is None:
            raise RegistryError(
                f"{shown(person)}: nobody of this id or pseudonym is in {self.registry.place}; "
                "`crosstalk registry list` shows who is"
            )
        return number

    def _check_key(self, connection: Connection) -> None:
        """One registry has one key: with a second, one person would be two."""
        if self.key is None:
            return
        told = connection.execute(select(AUDIT.c.detail).where(AUDIT.c.action == "key")).scalar()
        if told is None:
            append(connection, "key", check=self.key.check)
        elif json.loads(told)["check"] != self.key.check:
            raise RegistryError(
                f"{self.registry.place}: was begun with another key, so that everyone would get a second pseudonym; "
                "name the right one with --key"
            )


def _readable(row: Mapping[Any, Any]) -> dict[str, Any]:
    found = {k: v for k, v in row.items() if k != "person"}
    return {**found, "content": json.loads(found["content"])} if "content" in found else found


def _check_week(week: float, least: float) -> None:
    if not least <= week <= WEEKS:
        raise UsageError(f"week {week:g}: expected {least:g} to {WEEKS} weeks after the baseline")


def as_json(value: object) -> str:
    """A record or a mapping as JSON text."""
    plain = value if isinstance(value, dict) else asdict(value)  # type: ignore[call-overload]
    return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"
