"""The application: what is asked for in HTTP becomes a job, and what a job found is what the command line writes."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, TypeVar

from crosstalk.errors import CrosstalkError, UsageError

try:
    import uvicorn
    from fastapi import Body, FastAPI, Query, Request, UploadFile
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse, Response
    from starlette.exceptions import HTTPException
except ModuleNotFoundError as missing:
    raise UsageError(
        f"the application needs {missing.name}; install it with: pip install 'crosstalk-mdd[app]'"
    ) from None

from crosstalk.app.files import Files
from crosstalk.app.guard import Door, Guard
from crosstalk.app.jobs import Busy, Job, Jobs
from crosstalk.app.requests import (
    Answers,
    AssessRequest,
    CohortRequest,
    DesignRequest,
    EvidenceRequest,
    ForecastRequest,
    Patient,
    StudyRequest,
    TrialRequest,
)
from crosstalk.limits import printable, shown
from crosstalk.provenance import package_version

__all__ = ["create_app", "serve"]

T = TypeVar("T")
STATIC = ("app.css", "app.js", "parts.js", "cohort.js", "evidence.js", "patient.js", "trial.js")
TYPES = {".css": "text/css", ".js": "text/javascript", ".html": "text/html", ".svg": "image/svg+xml",
         ".json": "application/json", ".csv": "text/csv", ".toml": "application/toml", ".R": "text/plain"}  # fmt: skip
LOOPBACK = ("127.0.0.1", "localhost", "::1")
LONGEST_WAIT_S = 60.0
CHUNK = 1 << 20
_ALONE = threading.Lock()
"""Held while knowledge is read: the library that assembles the model is not made for several threads."""
REPORT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'self'"
"""Policy of a report: it has no script."""
PAGE = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
"""Policy of the what-if page, which names the hash of its one script itself: both hold."""

Wait = Annotated[
    float, Query(ge=0, le=LONGEST_WAIT_S, description="Seconds to wait for the result itself, instead of its job.")
]


def create_app(door: Door, folder: Path) -> Any:
    """Make the ASGI application.

    Parameters
    ----------
    door : Door
        Who is let in.
    folder : Path
        Of the server alone, for files that are dropped in.
    """
    jobs, dropped = Jobs(), Files(folder)

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        jobs.start()
        try:
            yield
        finally:
            jobs.close()

    app = FastAPI(
        title="Crosstalk", version=package_version(), lifespan=life, docs_url=None, redoc_url=None,
        openapi_url="/api/openapi.json",
        description="Forecasts of depression treatment from an immune panel. Research use only, not a medical device. "
        "Send the token as `Authorization: Bearer`. Long work answers 202 with a job; its results have the schemas of "
        "the command line's JSON.",
    )  # fmt: skip
    _errors(app)
    _pages(app, jobs)
    _jobs(app, jobs)
    _patients(app, jobs)
    _cohorts(app, jobs, dropped)
    _trials(app, jobs)
    _evidence(app, jobs)
    _schemas(app)
    return Guard(app, door)


def _errors(app: FastAPI) -> None:
    @app.exception_handler(CrosstalkError)
    async def told(_: Request, error: Exception) -> JSONResponse:
        status = 503 if isinstance(error, Busy) else 404 if "no such" in str(error) else 400
        return JSONResponse({"error": printable(str(error))}, status)

    @app.exception_handler(HTTPException)
    async def plain(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": shown(error.detail, 300)}, error.status_code)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        lines = [f"{'.'.join(str(p) for p in e['loc'][1:])}: {e['msg']}" for e in error.errors()[:10]]
        return JSONResponse({"error": shown("; ".join(lines), 1000)}, 422)


async def _answer(job: Job, wait: float) -> Response:
    """The document, where it comes in time; else the job."""
    if wait and not job.ended.is_set():
        await asyncio.to_thread(job.ended.wait, wait)
    if wait and job.state == "done":
        return Response(job.results["document"], media_type="application/json", headers={"x-job": job.id})
    if wait and job.state == "failed":
        return JSONResponse({"error": printable(job.error), "job": job.id}, 400)
    return JSONResponse(job.public(), 202)


@lru_cache(maxsize=16)
def _static(name: str) -> bytes:
    return (files("crosstalk.app") / "static" / name).read_bytes()


def _pages(app: FastAPI, jobs: Jobs) -> None:
    @app.get("/", include_in_schema=False)
    async def first() -> Response:
        return Response(_static("app.html"), media_type="text/html")

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        if name not in STATIC:
            raise UsageError("no such part of the page")
        return Response(_static(name), media_type=TYPES[Path(name).suffix])

    @app.get("/api/state", tags=["state"], summary="What there is: regimens, scales, analytes, versions")
    async def state() -> dict[str, Any]:
        return await asyncio.to_thread(_alone, _state)

    @app.post("/api/whatif", tags=["what if"], status_code=202, summary="Make the what-if page")
    async def make() -> Response:
        return await _answer(jobs.submit("whatif", "the what-if page", {}, "long"), 0)

    @app.get("/whatif/{name}", include_in_schema=False)
    async def whatif(name: str) -> Response:
        page = jobs.get(name).results.get("page.html")
        if page is None:
            raise UsageError("no such page yet; it is being made")
        return Response(page, media_type="text/html", headers={"content-security-policy": PAGE})


def _alone(run: Callable[..., T], *given: Any) -> T:
    with _ALONE:
        return run(*given)


@lru_cache(maxsize=1)
def _state() -> dict[str, Any]:
    from crosstalk.app.whatif import there
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.population.calibrated import knowledge_state

    knowledge = load_knowledge()
    calibrated, words = knowledge_state(knowledge)
    return {
        "crosstalk": package_version(), "calibrated": calibrated, "knowledge": words, "whatif": there(),
        "regimens": [{"id": r.id, "name": r.name, "reference": r.reference} for r in knowledge.regimens.values()],
        "scales": [{"id": s.id, "name": s.name, "maximum": s.maximum} for s in knowledge.scales.values()],
        "analytes": [
            {"id": a.id, "name": a.name, "unit": a.unit, "kind": a.kind, "rank": a.cost_rank,
             "observable": bool(a.observable)}
            for a in knowledge.analytes.values()
        ],
        "scores": [{"id": s.id, "name": s.name} for s in knowledge.scores.values()],
    }  # fmt: skip


def _jobs(app: FastAPI, jobs: Jobs) -> None:
    @app.get("/api/jobs", tags=["jobs"], summary="Every job that is kept, newest first")
    async def everything() -> list[dict[str, Any]]:
        return [job.public() for job in jobs.all()]

    @app.get("/api/jobs/{name}", tags=["jobs"], summary="State and progress")
    async def one(name: str) -> dict[str, Any]:
        return jobs.get(name).public()

    @app.delete("/api/jobs/{name}", tags=["jobs"], summary="Stop it")
    async def cancel(name: str) -> dict[str, Any]:
        return (await asyncio.to_thread(jobs.cancel, name)).public()

    @app.get("/api/jobs/{name}/{part}", tags=["jobs"], summary="A result: `document` is the JSON, others are files")
    async def part(name: str, part: str) -> Response:
        job = jobs.get(name)
        found = job.results.get(part)
        if found is None:
            raise UsageError(f"no such result; there are: {', '.join(sorted(job.results)) or 'none yet'}")
        ending = ".json" if part == "document" else Path(part).suffix
        headers = {}
        if ending in (".html", ".svg"):
            headers["content-security-policy"] = REPORT
        elif part != "document":
            headers["content-disposition"] = f'attachment; filename="crosstalk-{part}"'
        return Response(found, media_type=TYPES[ending], headers=headers)


def _patients(app: FastAPI, jobs: Jobs) -> None:
    @app.post("/api/assess", tags=["patients"], responses=_document("Assessment"))
    async def assess(asked: Annotated[AssessRequest, Body()], wait: Wait = 0) -> Response:
        """Read one panel against references, and infer the mechanism scores."""
        return await _answer(jobs.submit("assess", "assessment", asked.model_dump(), "short"), wait)

    @app.post("/api/forecast", tags=["patients"], responses=_document("Forecast"))
    async def forecast(asked: Annotated[ForecastRequest, Body()], wait: Wait = 0) -> Response:
        """Forecast one panel under each regimen."""
        return await _answer(jobs.submit("forecast", "forecast", asked.model_dump(), "short"), wait)


def _cohorts(app: FastAPI, jobs: Jobs, dropped: Files) -> None:
    @app.get("/api/files", tags=["cohorts"], summary="Files that are kept")
    async def kept() -> list[dict[str, Any]]:
        return dropped.all()

    @app.post("/api/files", tags=["cohorts"], status_code=202, summary="Drop in a file of any format that is read")
    async def drop(file: UploadFile, wait: Wait = 0) -> Response:
        new = dropped.place(file.filename or "file")
        with new.path.open("xb") as out:
            while chunk := await file.read(CHUNK):
                new.size += await asyncio.to_thread(out.write, chunk)
        dropped.keep(new)
        job = jobs.submit("read", new.name, new.payload(), "short")
        if wait:
            await asyncio.to_thread(job.ended.wait, wait)
        return JSONResponse({"file": new.id, "name": new.name, "job": job.public()}, 202)

    @app.delete("/api/files/{key}", tags=["cohorts"], status_code=204, summary="Remove a file")
    async def remove(key: str) -> None:
        dropped.drop(key)

    @app.post("/api/files/{key}/answers", tags=["cohorts"], summary="Answer what a file leaves open")
    async def answers(key: str, asked: Annotated[Answers, Body()], wait: Wait = 0) -> Response:
        file = dropped.get(key)
        payload = {**file.payload(), "map": None, "answers": asked.answers}
        job = jobs.submit("read", file.name, payload, "short")
        await asyncio.to_thread(job.ended.wait, LONGEST_WAIT_S)
        if job.state == "done":
            import json

            file.map = json.loads(job.results["map.json"])
        return await _answer(job, wait)

    @app.post("/api/files/{key}/assess", tags=["cohorts"], summary="Assess every patient of a file")
    async def cohort(key: str, asked: Annotated[CohortRequest, Body()], wait: Wait = 0) -> Response:
        file = dropped.get(key)
        return await _answer(jobs.submit("cohort", file.name, {**file.payload(), **asked.model_dump()}, "long"), wait)

    @app.post("/api/files/{key}/forecast", tags=["cohorts"], responses=_document("Forecast"))
    async def patient(key: str, asked: Annotated[Patient, Body()], wait: Wait = 0) -> Response:
        """Forecast one patient of a file."""
        payload = {**dropped.get(key).payload(), **asked.model_dump()}
        return await _answer(jobs.submit("forecast", f"forecast of {shown(asked.patient)}", payload, "short"), wait)


def _trials(app: FastAPI, jobs: Jobs) -> None:
    @app.post("/api/design", tags=["trials"], summary="The study file of a design, as TOML")
    async def design(asked: Annotated[DesignRequest, Body()]) -> Response:
        return Response(await asyncio.to_thread(_alone, _design, asked.model_dump()), media_type="application/toml")

    @app.post("/api/trial", tags=["trials"], summary="Simulate a design many times")
    async def trial(asked: Annotated[TrialRequest, Body()], wait: Wait = 0) -> Response:
        form = asked.model_dump()
        payload = {k: form[k] for k in ("replicates", "worlds", "seed")}
        payload["design"] = await asyncio.to_thread(_alone, _design, form)
        return await _answer(jobs.submit("trial", asked.title, payload, "long"), wait)


def _design(form: Mapping[str, Any]) -> str:
    from crosstalk.app.designs import design_toml
    from crosstalk.knowledge.loader import load_knowledge

    return design_toml(form, load_knowledge())


def _evidence(app: FastAPI, jobs: Jobs) -> None:
    def submit(kind: str, label: str, asked: EvidenceRequest) -> Job:
        query = {k: v for k, v in asked.model_dump().items() if k != "text"}
        return jobs.submit(kind, label, {"query": query, "text": asked.text}, "short")

    @app.post("/api/evidence", tags=["evidence"], summary="Search published results")
    async def search(asked: Annotated[EvidenceRequest, Body()], wait: Wait = 0) -> Response:
        return await _answer(submit("listing", "published results", asked), wait)

    @app.post("/api/evidence/pool", tags=["evidence"], summary="Pool comparable results; with a forest plot")
    async def pool(asked: Annotated[EvidenceRequest, Body()], wait: Wait = 0) -> Response:
        return await _answer(submit("pool", "pooled results", asked), wait)

    @app.post("/api/evidence/beside", tags=["evidence"], responses=_document("Validation"))
    async def beside(asked: Annotated[StudyRequest, Body()], wait: Wait = 0) -> Response:
        """The model beside the published results of one study."""
        return await _answer(jobs.submit("beside", asked.study, {"study": asked.study}, "long"), wait)


def _document(schema: str) -> dict[int | str, dict[str, Any]]:
    """What a route answers: a document of the command line's, or a job."""
    ref = {"$ref": f"#/components/schemas/{schema}"}
    words = "The result, if it came while waiting"
    return {
        200: {"description": words, "content": {"application/json": {"schema": ref}}},
        202: {"description": "A job"},
    }


def _schemas(app: FastAPI) -> None:
    """Put the schemas of the command line's JSON among those of the interface."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            from crosstalk.report.documents import json_schema

            found = plain()
            components = found.setdefault("components", {}).setdefault("schemas", {})
            for verb in ("assess", "forecast", "validate"):
                schema = json_schema(verb)
                for name, part in schema.pop("$defs", {}).items():
                    components[name] = _moved(part)
                components[schema["title"]] = _moved(schema)
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _moved(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            k: v.replace("#/$defs/", "#/components/schemas/") if k == "$ref" and isinstance(v, str) else _moved(v)
            for k, v in node.items()
        }
    return [_moved(v) for v in node] if isinstance(node, list) else node


def serve(
    host: str = "127.0.0.1", port: int = 8650, *, token_file: Path | None = None, names: tuple[str, ...] = ()
) -> None:
    """Serve until it is stopped; prints the address, token included.

    Parameters
    ----------
    token_file : Path, optional
        Holds the token, 20 characters or more; needed for a host that is not loopback. A new one for each start
        otherwise.
    names : tuple of str
        What else the server may be called.

    Raises
    ------
    UsageError
        If the host is open to others and there is no token file, or the port is taken.
    """
    if host not in LOOPBACK and token_file is None:
        raise UsageError(
            f"--host {host} opens the application, with every file that is dropped in, to everyone who can reach this "
            "machine and has the token, and it speaks plain HTTP. Give the token in a file with --token-file, and put "
            "a server that speaks TLS before it"
        )
    token = secrets.token_urlsafe(24) if token_file is None else _token(token_file)
    called = {host, *names} | (set(LOOPBACK) if host in LOOPBACK else set())
    hosts = frozenset(f"[{h}]:{port}" if ":" in h else f"{h}:{port}" for h in called)
    with TemporaryDirectory(prefix="crosstalk-", suffix=".app") as folder:
        app = create_app(Door(token, hosts), Path(folder))
        config = uvicorn.Config(
            app, host=host, port=port, log_level="warning", access_log=False, server_header=False, lifespan="on",
            ws="none", h11_max_incomplete_event_size=32_768, limit_concurrency=500, timeout_keep_alive=20,
        )  # fmt: skip
        shown_host = f"[{host}]" if ":" in host else host
        secret = f"?token={token}" if token_file is None else f"?token=(what {token_file} holds)"
        server = _Server(config, f"http://{shown_host}:{port}/{secret}")
        try:
            server.run()
        except SystemExit:
            raise UsageError(f"{host}:{port} cannot be served, perhaps another program has it; try --port") from None


class _Server(uvicorn.Server):
    """Says its address once it answers."""

    def __init__(self, config: uvicorn.Config, address: str) -> None:
        super().__init__(config)
        self._address = address

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            print(f"Crosstalk is at {self._address}\nCtrl+C ends it. Research use only.", flush=True)
            sys.stdout.flush()


def _token(path: Path) -> str:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no ASCII text"
        raise UsageError(f"{path}: the token cannot be read ({reason})") from None
    if len(text) < 20 or not all(c.isalnum() or c in "-_" for c in text):
        raise UsageError(
            f"{path}: expected a token of 20 or more letters, digits, - and _, such as `openssl rand -hex 20`"
        )
    return text
