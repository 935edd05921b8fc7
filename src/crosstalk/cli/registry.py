"""Verbs of the registry: forecasts kept, judged when outcomes come, and predictions frozen for running trials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crosstalk.cli.common import (
    check_outputs,
    open_engine,
    progress,
    render,
    say_written,
    status,
    warn,
    write,
    write_wanted,
)
from crosstalk.cli.options import Jobs, JsonFile, MapFile, Occasion, PanelFile, Quiet, Seed, VirtualPatients
from crosstalk.errors import RegistryError
from crosstalk.limits import printable

if TYPE_CHECKING:
    from crosstalk.registry.people import Register

__all__ = ["registry_app"]

registry_app = typer.Typer(
    help="Keep forecasts, and judge them when outcomes come; freeze predictions for running trials. Pseudonymous.",
    no_args_is_help=True,
)

Database = Annotated[
    str | None,
    typer.Option(
        "--database", envvar="CROSSTALK_REGISTRY", metavar="FILE|URL", help="An SQLite file, or postgresql://..."
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key", envvar="CROSSTALK_REGISTRY_KEY", metavar="FILE", help="The key that makes the pseudonyms."),
]
Person = Annotated[str, typer.Argument(metavar="PERSON", help="The id of the file, or the pseudonym.")]


@contextmanager
def _register(database: str | None, key: Path | None, *, create: bool = False) -> Iterator[Register]:
    """The people of a registry; found by id where there is a key, by pseudonym alone where there is none."""
    from crosstalk.registry.database import open_registry
    from crosstalk.registry.people import Register
    from crosstalk.registry.pseudonyms import key_of

    with open_registry(database, create=create) as registry:
        try:
            found = key_of(registry, key, create=create)
        except RegistryError:
            if key is not None or create:
                raise
            found = None
        yield Register(registry, found)


@registry_app.command("add")
def add(
    panel: PanelFile,
    patient: Annotated[str | None, typer.Option("--patient", help="One patient of the file; all by default.")] = None,
    regimen: Annotated[
        list[str] | None, typer.Option("--regimen", "-r", help="Regimen to forecast; all by default.")
    ] = None,
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=104, help="Horizon.")] = 12,
    without: Annotated[bool, typer.Option("--without-forecast", help="Keep the panel alone.")] = False,
    occasion: Occasion = None,
    mapping: MapFile = None,
    database: Database = None,
    key: KeyFile = None,
    seed: Seed = 1,
    virtual_patients: VirtualPatients = 20_000,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Forecast the patients of a file, and keep panels and forecasts under pseudonyms."""
    from crosstalk.cli.files import with_map
    from crosstalk.errors import CrosstalkError
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.panel.reader import one_patient, read_panel
    from crosstalk.registry.people import nameless
    from crosstalk.report.catalogue import Table
    from crosstalk.twin import forecast

    for name in regimen or ():
        load_knowledge().regimen(name)
    file = with_map(panel, mapping, quiet, lambda m: read_panel(panel, occasion=occasion, mapping=m))
    warn(file.warnings, quiet)
    chosen = [one_patient(file, patient)] if patient is not None else list(file.panels)
    rows = []
    with _register(database, key, create=True) as register, open_engine("fast", jobs) as engine:
        for number, one in enumerate(chosen, 1):
            bare = nameless(one, register.pseudonym(one.patient))
            found, words = None, "panel"
            if not without:
                with status(f"forecasting {number} of {len(chosen)}", quiet) as say:
                    try:
                        found = forecast(
                            bare, regimens=regimen or (), engine=engine, seed=seed, virtual_patients=virtual_patients,
                            weeks=weeks, progress=say,
                        )  # fmt: skip
                        words = f"panel and forecast of {len(found.regimens)} regimens"
                    except CrosstalkError as error:
                        if len(chosen) == 1:
                            raise
                        words = f"panel alone: {error}"
            # each is kept at once, so that a stop loses none that is done
            rows.append((one.patient, register.add(one.patient, bare, found), words))
        place = register.registry.place
    if not quiet:
        render([Table(f"Kept in {place}", ("patient", "pseudonym", "kept"), tuple(rows))], ("pseudonym",))


@registry_app.command("give")
def give(
    person: Person,
    regimen: Annotated[str, typer.Argument(metavar="REGIMEN", help="What was given; see `crosstalk regimens`.")],
    week: Annotated[float, typer.Option("--week", min=0, help="From which week after the baseline on.")] = 0.0,
    database: Database = None,
    key: KeyFile = None,
    quiet: Quiet = False,
) -> None:
    """Note which regimen a person got."""
    with _register(database, key) as register:
        name = register.give(person, regimen, week)
    if not quiet:
        print(f"{name}: {regimen} from week {week:g} on")


@registry_app.command("score")
def score(
    person: Person,
    scores: Annotated[
        list[str], typer.Argument(metavar="SCORE...", help="As 'week 12: HAMD17=9'; several may follow.")
    ],
    database: Database = None,
    key: KeyFile = None,
    quiet: Quiet = False,
) -> None:
    """Note scores that were seen after the baseline."""
    from crosstalk.twin.sequential import EarlyScore

    early = [EarlyScore.read(text) for text in scores]
    with _register(database, key) as register:
        for one in early:
            name = register.score(person, one.week, one.scale, one.score)
            if not quiet:
                print(f"{name}: {one.scale} {one.score:g} at week {one.week}")


@registry_app.command("list")
def people(database: Database = None, json: JsonFile = None) -> None:
    """List who is in the registry, by pseudonym."""
    from dataclasses import asdict

    from crosstalk.registry.people import as_json
    from crosstalk.report.catalogue import Table

    check_outputs(json, inputs=[database])
    with _register(database, None) as register:
        found, place = register.people(), register.registry.place
    write_wanted((json, lambda: as_json({"people": [asdict(p) for p in found]})))
    columns = ("pseudonym", "since", "panels", "forecasts", "given", "scores")
    rows = tuple(
        (p.pseudonym, p.since, str(p.panels), str(p.forecasts), p.regimens, str(p.scores)) for p in found
    )  # fmt: skip
    render([Table(f"{len(found)} people in {place}", columns, rows)], ("pseudonym", "since"))
    say_written(json)


@registry_app.command("export")
def export(
    person: Person,
    json: Annotated[Path, typer.Option("--json", metavar="FILE", help="Where to write it.")],
    database: Database = None,
    key: KeyFile = None,
) -> None:
    """Write everything that is held about one person."""
    from crosstalk.registry.people import as_json

    check_outputs(json, inputs=[database, key])
    with _register(database, key) as register:
        write({json: as_json(register.export(person))})
    say_written(json)


@registry_app.command("forget")
def forget(
    person: Person,
    database: Database = None,
    key: KeyFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove everything about one person; backups that were made before still hold it."""
    if not yes:
        typer.confirm(f"Remove everything about {printable(person)}? This cannot be undone", abort=True, err=True)
    with _register(database, key) as register:
        print(f"{register.forget(person)}: forgotten; remove older backups too")


@registry_app.command("judge")
def judge(
    results: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RESULTS]", help="A study file with the results of a trial whose prediction is frozen."
        ),
    ] = None,
    seal: Annotated[str, typer.Option("--seal", help="What freezing printed, from where you kept it.")] = "",
    database: Database = None,
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """Judge forecasts by the outcomes that came, or a frozen prediction by the results of its trial."""
    from crosstalk.registry.database import open_registry
    from crosstalk.registry.judgement import judge as run
    from crosstalk.registry.show import frozen_tables, judgement_tables
    from crosstalk.report.documents import dump

    check_outputs(json, inputs=[results, database])
    with open_registry(database) as registry:
        if results is None:
            found = run(registry)
            write_wanted((json, lambda: dump(found)))
            tables = judgement_tables(found)
        else:
            from dataclasses import asdict

            from crosstalk.registry.frozen import judge_frozen
            from crosstalk.registry.people import as_json

            frozen, verdicts = judge_frozen(registry, results, seal=seal)
            write_wanted((json, lambda: as_json({"frozen": asdict(frozen), "verdicts": [asdict(v) for v in verdicts]})))
            tables = frozen_tables(frozen, verdicts)
    if not quiet:
        render(tables, ("value (90 %)", "beside"))
        say_written(json)


@registry_app.command("freeze")
def freeze(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study file without values, or the id of a trial.")],
    worlds: Annotated[int, typer.Option("--worlds", min=20, help="Possible worlds.")] = 120,
    patients: Annotated[int, typer.Option("--patients", "-n", min=20, help="Virtual patients in each.")] = 100,
    database: Database = None,
    json: JsonFile = None,
    seed: Seed = 1,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Fix a prediction for a running trial: design, posterior, version, date and prediction, sealed by a hash chain."""
    from crosstalk.registry.database import open_registry
    from crosstalk.registry.frozen import freeze as run
    from crosstalk.registry.show import frozen_tables
    from crosstalk.report.documents import dump

    check_outputs(json, inputs=[study, database])
    with (
        open_registry(database, create=True) as registry,
        open_engine("fast", jobs) as engine,
        progress(f"predicting {study}", quiet) as say,
    ):
        found = run(registry, study, engine=engine, worlds=worlds, patients=patients, seed=seed, progress=say)
    write_wanted((json, lambda: dump(found)))
    if not quiet:
        render(frozen_tables(found))
        say_written(json)
    print(f"seal: {found.seal}")
    if not quiet:
        print("Keep the seal where others can see it: it proves later that nothing was changed.")


@registry_app.command("trials")
def trials(database: Database = None) -> None:
    """List the running trials whose design ships, and the predictions that are frozen."""
    from crosstalk.registry.database import open_registry
    from crosstalk.registry.frozen import frozen_predictions, shipped_trials
    from crosstalk.report.catalogue import Table
    from crosstalk.study.schema import read_study

    rows = []
    for name, path in shipped_trials().items():
        plan = read_study(path)
        rows.append((name, plan.title, str(plan.population.n or ""), str(len(plan.results))))
    tables = [Table("Running trials that ship", ("id", "title", "participants", "results"), tuple(rows))]
    try:
        with open_registry(database) as registry:
            frozen = frozen_predictions(registry)
            place = registry.place
    except RegistryError as error:
        if "such registry" not in str(error):
            raise
    else:
        lines = tuple((f.study, f.at[:10], f.crosstalk, f.seal) for f in frozen)
        tables.append(Table(f"Frozen in {place}", ("study", "frozen on", "version", "seal"), lines))
    render(tables, ("id", "frozen on", "seal"))


@registry_app.command("check")
def check(
    seal: Annotated[str, typer.Option("--seal", help="What freezing printed; it must be in the chain.")] = "",
    database: Database = None,
) -> None:
    """Read every byte of the registry, and say whether all is as it was written."""
    from crosstalk.registry.chain import faults
    from crosstalk.registry.database import open_registry
    from crosstalk.registry.people import Register

    with open_registry(database) as registry:
        with registry.reading() as connection:
            wrong = faults(connection, seal)
        counts = Register(registry).counts()
        if wrong:
            lines = "\n  ".join(wrong)
            raise RegistryError(f"{registry.place}: does not fit together\n  {lines}")
        print(f"{registry.place}: whole; " + ", ".join(f"{n} {name}" for name, n in counts.items()))


@registry_app.command("audit")
def audit(
    person: Annotated[str | None, typer.Option("--person", help="One person alone.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="How many entries.")] = 50,
    database: Database = None,
    key: KeyFile = None,
    json: JsonFile = None,
) -> None:
    """Show the audit trail: who did what, and when."""
    from crosstalk.registry.people import as_json
    from crosstalk.report.catalogue import Table

    check_outputs(json, inputs=[database, key])
    with _register(database, key) as register:
        entries = register.trail(person)
    write_wanted((json, lambda: as_json({"entries": list(entries)})))
    rows = tuple(
        (str(e["number"]), e["at"], e["actor"], e["action"], _dash(e["person"]), e["hash"][:12])
        for e in entries[-last:]
    )
    columns = ("entry", "at", "by", "did", "person", "hash")
    render([Table(f"Audit trail: {len(rows)} of {len(entries)} entries", columns, rows)], ("at", "hash"))
    say_written(json)


def _dash(value: Any) -> str:
    return "" if value is None else str(value)


@registry_app.command("backup")
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A new SQLite file.")], database: Database = None
) -> None:
    """Write the whole registry into a new file, checked; the key is in none."""
    from crosstalk.registry.database import backup as run
    from crosstalk.registry.database import open_registry

    check_outputs(target, inputs=[database])
    with open_registry(database) as registry:
        entries = run(registry, target)
    print(f"{target}: {entries} entries, whole; keep the key apart from it")


@registry_app.command("restore")
def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="What `backup` wrote.")], database: Database = None
) -> None:
    """Fill an empty registry from a backup."""
    from crosstalk.registry.database import restore as run

    print(f"{run(source, database)} entries restored, whole")


@registry_app.command("upgrade")
def upgrade(database: Database = None) -> None:
    """Bring the tables of an older registry up to this version; a file is copied first."""
    from crosstalk.registry.database import upgrade as run
    from crosstalk.registry.tables import HEAD

    before, copy = run(database)
    print(
        f"version {before} to {HEAD}" + (f"; the old one is {copy}" if copy else "") if before != HEAD else "up to date"
    )
