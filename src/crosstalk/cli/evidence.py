"""Verbs about published results: `evidence list`, `show`, `check`, `pool` and `moderation`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from typer.core import TyperGroup

from crosstalk.cli.common import (
    check_outputs,
    console,
    open_engine,
    render,
    say_written,
    status,
    warn,
    write_wanted,
)
from crosstalk.cli.options import HtmlFile, Jobs, JsonFile, Quiet, Seed
from crosstalk.errors import UsageError, check_option
from crosstalk.limits import printable

if TYPE_CHECKING:
    from crosstalk.evidence.records import PublishedResult, Query
    from crosstalk.evidence.sources import Entry
    from crosstalk.knowledge.loader import Knowledge

__all__ = ["evidence_app"]


class ListOrShow(TyperGroup):
    """Without a verb: list, or show the study that is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb that is meant before the arguments."""
        if "--help" not in args[:1] and (not args or args[0] not in self.commands):
            verb = "show" if args and not args[0].startswith("-") else "list"
            args = [verb, *args]
        return super().parse_args(ctx, args)


evidence_app = typer.Typer(
    cls=ListOrShow,
    help="Published results: list them (the default), show one study, check the study files, pool effects.",
)

Roles = Annotated[list[str] | None, typer.Option("--role", help="calibrate, validate or context.")]
Drugs = Annotated[list[str] | None, typer.Option("--drug", help="A drug that the arms do not share.")]
Subjects = Annotated[
    list[str] | None, typer.Option("--of", "--analyte", help="Scale, analyte or variable of the model.")
]
Endpoints = Annotated[list[str] | None, typer.Option("--endpoint", help="change, smd, odds-ratio, ...")]
Diagnoses = Annotated[list[str] | None, typer.Option("--diagnosis", help="Who was studied: mdd, healthy, ...")]
Provenances = Annotated[list[str] | None, typer.Option("--provenance", help="seen or memory.")]
Contrasts = Annotated[
    list[str] | None,
    typer.Option("--contrast", help="drug (against none), active (against another), diagnosis, within (one arm)."),
]
Without = Annotated[list[str] | None, typer.Option("--without", metavar="STUDY", help="Leave a study out.")]
FromTime = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Not before, such as '4 h' or '2 weeks'.")]
ToTime = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Not after.")]


@evidence_app.command("list")
def evidence_list(
    role: Roles = None,
    drug: Drugs = None,
    of: Subjects = None,
    endpoint: Endpoints = None,
    diagnosis: Diagnoses = None,
    provenance: Provenances = None,
    contrast: Contrasts = None,
    without: Without = None,
    from_time: FromTime = None,
    to_time: ToTime = None,
    json: JsonFile = None,
    quiet: Quiet = False,
) -> None:
    """List published results; every option narrows the list and may be repeated."""
    check_outputs(json)
    from crosstalk.evidence.listing import resolve, select
    from crosstalk.evidence.records import Listing
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.provenance import package_version
    from crosstalk.report.documents import dump
    from crosstalk.report.evidence import listing_table

    knowledge = load_knowledge()
    query = _query(role, drug, of, endpoint, diagnosis, provenance, contrast, without, from_time, to_time)
    query = resolve(query, knowledge)
    rows = select(_rows(knowledge, quiet), query)
    write_wanted((json, lambda: dump(Listing(rows, package_version(), knowledge.sha256))))
    if not quiet:
        render((listing_table(rows),), whole=("study", "role", "time"))
        say_written(json)


@evidence_app.command("show")
def evidence_show(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="The id of a study, or a study file.")],
    json: JsonFile = None,
) -> None:
    """Show one study: population, arms, figures and their sources."""
    check_outputs(json, inputs=[study])
    from crosstalk.evidence.listing import study_card
    from crosstalk.evidence.sources import read_entry
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.report.documents import dump
    from crosstalk.report.evidence import card_tables

    knowledge = load_knowledge()
    card = study_card(read_entry(study, knowledge), knowledge)
    write_wanted((json, lambda: dump(card)))
    render(card_tables(card))
    say_written(json)


@evidence_app.command("check")
def evidence_check(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Study files, folders or ids (default: all).")
    ] = None,
    notes: Annotated[bool, typer.Option("--notes", help="List what is only worth knowing, too.")] = False,
    json: JsonFile = None,
) -> None:
    """Check study files: schema, DOIs, duplicates, errors, grades. Exit code 1 if one fails."""
    check_outputs(json, inputs=files or ())
    from crosstalk.evidence.checks import check_studies
    from crosstalk.report.documents import dump
    from crosstalk.report.evidence import check_tables

    report = check_studies(files or ())
    write_wanted((json, lambda: dump(report)))
    render(check_tables(report, notes=notes), whole=("grade", "check"))
    say_written(json)
    if report.failed:
        failed = dict.fromkeys(line.study for line in report.lines if line.grade == "fail")
        print(f"crosstalk: {len(failed)} of {report.studies} study files fail: {', '.join(failed)}", file=sys.stderr)
        raise typer.Exit(1)


@evidence_app.command("pool")
def evidence_pool(
    endpoint: Endpoints = None,
    of: Subjects = None,
    drug: Drugs = None,
    role: Roles = None,
    diagnosis: Diagnoses = None,
    provenance: Provenances = None,
    contrast: Contrasts = None,
    without: Without = None,
    from_time: FromTime = None,
    to_time: ToTime = None,
    meta_analyses: Annotated[
        bool, typer.Option("--meta-analyses", help="Keep meta-analyses beside trials, whose patients they may hold.")
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table", metavar="FILE", help="Pool a table of your own: study, effect, se or low and high, drug."
        ),
    ] = None,
    ratios: Annotated[
        bool, typer.Option("--ratios", help="Of a table: effects are ratios; logarithms are pooled.")
    ] = False,
    mix: Annotated[bool, typer.Option("--mix", help="Pool several drugs together, those of each first.")] = False,
    test: Annotated[
        str, typer.Option("--test", metavar="NAME", help="hartung-knapp, or 'ad hoc': never narrower than the errors.")
    ] = "hartung-knapp",
    json: JsonFile = None,
    html: HtmlFile = None,
    quiet: Quiet = False,
) -> None:
    """Pool comparable effects: random effects, prediction interval, forest plot."""
    check_outputs(json, html, inputs=[table])
    from crosstalk.evidence.own_table import pool_table
    from crosstalk.evidence.pooling import pool
    from crosstalk.evidence.records import Query
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.report.documents import dump
    from crosstalk.report.evidence import pool_text
    from crosstalk.report.html import pool_html
    from crosstalk.statistics.meta_analysis import HartungKnapp

    knowledge = load_knowledge()
    query = _query(role, drug, of, endpoint, diagnosis, provenance, contrast, without, from_time, to_time)
    check_option("--test", test, get_args(HartungKnapp))
    kind: HartungKnapp = test  # type: ignore[assignment]
    if table is not None:
        if query != Query() or meta_analyses:
            raise UsageError(
                "options that choose published results do not apply to --table; drop them, or rows of the table"
            )
        result = pool_table(table, ratios=ratios, mix=mix, test=kind)
    elif ratios:
        raise UsageError("--ratios belongs to --table; published results say themselves what they are")
    else:
        result = pool(_rows(knowledge, quiet), query, knowledge, meta_analyses=meta_analyses, mix=mix, test=kind)
    write_wanted((json, lambda: dump(result)), (html, lambda: pool_html(result)))
    if not quiet:
        tables, notes = pool_text(result)
        render(tables)
        for note in notes:
            console().print(printable(note), markup=False)
        say_written(json, html)


@evidence_app.command("moderation")
def evidence_moderation(
    main_effects: Annotated[
        bool, typer.Option("--main-effects", help="Ask for the effect of each drug instead of what moderates it.")
    ] = False,
    posterior: Annotated[
        Path | None, typer.Option("--posterior", metavar="FILE", help="Another posterior than the one that ships.")
    ] = None,
    draws: Annotated[int, typer.Option("--draws", min=3, help="Worlds in which the model is asked.")] = 120,
    patients: Annotated[int, typer.Option("--patients", "-n", help="Virtual patients of each world.")] = 40,
    without: Without = None,
    meta_analyses: Annotated[
        bool, typer.Option("--meta-analyses", help="Pool meta-analyses with trials, whose patients they may hold.")
    ] = False,
    json: JsonFile = None,
    html: HtmlFile = None,
    seed: Seed = 1,
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Who gains from which treatment: published results alone beside the model, and where it is surer than they are."""
    check_outputs(json, html)
    from crosstalk.calibrate.never_surer import beside_effects, beside_moderation
    from crosstalk.evidence.listing import resolve
    from crosstalk.evidence.records import Query
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.population.calibrated import posterior_in_force
    from crosstalk.report.documents import dump
    from crosstalk.report.never_surer import beside_html, beside_tables

    knowledge = load_knowledge()
    given = posterior_in_force(posterior, knowledge)
    left = resolve(Query(without=tuple(without or ())), knowledge).without
    entries = [entry for entry in _entries(knowledge, quiet) if entry.study.id not in left]
    compare = beside_effects if main_effects else beside_moderation
    with open_engine("fast", jobs) as engine, status("pooling published results", quiet) as say:
        found = compare(
            entries, knowledge, engine, given, draws=draws, patients=patients, seed=seed,
            meta_analyses=meta_analyses, say=say,
        )  # fmt: skip
    write_wanted((json, lambda: dump(found)), (html, lambda: beside_html(found)))
    if not quiet:
        tables, notes = beside_tables(found)
        render(tables, whole=("direct (95 %)", "model (95 %)"))
        for note in notes:
            console().print(note, markup=False)
        say_written(json, html)


def _rows(knowledge: Knowledge, quiet: bool) -> tuple[PublishedResult, ...]:
    from crosstalk.evidence.listing import published

    return published(_entries(knowledge, quiet))


def _entries(knowledge: Knowledge, quiet: bool) -> tuple[Entry, ...]:
    """Read all studies; one that is broken is a warning, since it should not hide the others."""
    from crosstalk.evidence.sources import read_entries, study_paths

    entries, broken = read_entries(study_paths((), knowledge), knowledge)
    warn(tuple(f"{path.name} is left out; see crosstalk evidence check {path.stem}" for path, _ in broken), quiet)
    return entries


def _query(
    role: list[str] | None,
    drug: list[str] | None,
    of: list[str] | None,
    endpoint: list[str] | None,
    diagnosis: list[str] | None,
    provenance: list[str] | None,
    contrast: list[str] | None,
    without: list[str] | None,
    from_time: str | None,
    to_time: str | None,
) -> Query:
    from crosstalk.evidence.records import Query

    return Query(
        role=tuple(role or ()),
        drug=tuple(drug or ()),
        of=tuple(of or ()),
        endpoint=tuple(endpoint or ()),
        diagnosis=tuple(diagnosis or ()),
        provenance=tuple(provenance or ()),
        contrast=tuple(contrast or ()),
        without=tuple(without or ()),
        from_h=_hours("--from", from_time),
        to_h=_hours("--to", to_time),
    )


def _hours(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(h|hours?|d|days?|w|weeks?)\s*", text)
    if found is None:
        raise UsageError(f"{option} is {text!r}; expected a time such as '4 h', '3 days' or '6 weeks'")
    return float(found[1]) * {"h": 1.0, "d": 24.0, "w": 168.0}[found[2][0]]
