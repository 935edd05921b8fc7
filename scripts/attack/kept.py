"""Kept files, posteriors, locked models and machine code that were damaged, exchanged or forged."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np

from attack.registry import Tally, attack
from crosstalk.errors import CrosstalkError, PopulationError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.population.calibrated import POSTERIOR, posterior_worlds, read_posterior, sealed, unsealed
from crosstalk.provenance import hash_bytes
from crosstalk.store import MARK, Store


def damaged(rng: np.random.Generator, content: bytes) -> bytes:
    """The content with something wrong in it; never the same."""
    kind = rng.integers(0, 6)
    at = int(rng.integers(0, len(content)))
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content + rng.bytes(int(rng.integers(1, 50)))
    if kind == 2:
        return rng.bytes(int(rng.integers(0, 300)))
    if kind == 3:
        return bytes(len(content))
    changed = bytearray(content)
    for place in rng.integers(0, len(content), size=1 if kind == 4 else 20):
        changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed) if bytes(changed) != content else content[:at]


@attack("checkpoints", "kept parts cut, flipped, replaced, exchanged with those of another run", count=5000)
def checkpoints(rng: np.random.Generator, count: int) -> Tally:
    tally = Tally()
    with TemporaryDirectory() as place:
        folder = Path(place)
        stores = [Store(folder, "attack", hash_bytes(str(k))) for k in range(3)]
        values = [rng.random(50) for _ in stores]
        for number in tally.tries(count):
            for store, own in zip(stores, values, strict=True):
                store.save_arrays({"values": own}, "part")
            path, other = stores[0].path("part"), stores[1].path("part")
            assert path is not None
            assert other is not None
            foreign = other.read_bytes() if rng.random() < 0.2 else damaged(rng, path.read_bytes())
            path.write_bytes(foreign)
            found = stores[0].load_arrays("part")
            stores[0].save_arrays({"values": values[0]}, "part")
            again = stores[0].load_arrays("part")
            aside = [p for p in folder.glob("aside-*") if p.read_bytes() == foreign]
            lost = bool(foreign) and not foreign.startswith(MARK) and not aside
            for p in folder.glob("aside-*"):
                p.unlink()
            if found is None and again is not None and np.array_equal(again["values"], values[0]) and not lost:
                tally.pass_()
            else:
                tally.fault(f"try {number}: taken {found is not None}, mended {again is not None}, lost {lost}")
    return tally


def _forged(rng: np.random.Generator, content: bytes) -> bytes:
    """A posterior with the right checksum over draws that cannot be."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        group = file["posterior"]
        names = [n for n in group if n not in ("chain", "draw")]
        name = str(rng.choice(names))
        kind = rng.integers(0, 8)
        if kind < 4:
            values = group[name][...]
            values[0, int(rng.integers(0, values.shape[1]))] = (np.nan, np.inf, 1e300, -1e300)[kind]
            group[name][...] = values
        elif kind == 4:
            del file["posterior"]
        elif kind == 5:
            del file.attrs[str(rng.choice(["model", "evidence", "crosstalk"]))]
        elif kind == 6:
            del group[name]
            group[name] = h5py.ExternalLink("/etc/passwd", "/x")
        else:
            del group[name]
            group.create_dataset(name, data=np.array([[b"x"] * 240]))
    return sealed(buffer.getvalue())


@attack("posteriors", "posteriors damaged at random, or forged with the right checksum", count=500)
def posteriors(rng: np.random.Generator, count: int) -> Tally:
    tally, knowledge = Tally(), load_knowledge()
    shipped = knowledge.root / POSTERIOR
    whole, inner = shipped.read_bytes(), unsealed(shipped).getvalue()
    with TemporaryDirectory() as place:
        path = Path(place) / "p.nc"
        for number in tally.tries(count):
            forged = bool(rng.random() < 0.3)
            path.write_bytes(_forged(rng, inner) if forged else damaged(rng, whole))
            try:
                posterior_worlds(read_posterior(path), knowledge, 1, 5)
                tally.fault(f"try {number}: forged {forged}, was taken")
            except PopulationError:
                tally.refuse()
            except Exception as error:  # what an attack looks for
                tally.fault(f"try {number}: forged {forged}, {type(error).__name__}: {error}")
    return tally


FEATURE = {
    "name": "hsCRP", "kind": "log", "unit": "mg/L", "coefficient": 0.4, "fill": 0.5, "floor": 0.1, "mean": 0.5,
    "scale": 1.1, "low": 0.1, "high": 20.0, "p2_5": 0.2, "p97_5": 15.0, "average": 0.5, "spread": 1.1,
    "missing": 0.0, "levels": {},
}  # fmt: skip
MODEL: dict[str, Any] = {
    "format": "crosstalk locked model 1", "crosstalk": "0.1.0", "outcome": "resp", "kind": "event", "positive": "1",
    "rung": "panel", "name": "clinical + panel", "intercept": -0.2, "penalty": 0.1,
    "features": [FEATURE, {**FEATURE, "name": "age", "kind": "number", "unit": "year", "floor": 0.0}],
    "training": {"n": 160, "events": 80, "mean": 0.5, "input_sha256": "0" * 64, "folds": 5, "repeats": 3, "seed": 1,
                 "performance": {}, "treated": ["", ""], "covariates": []},
    "residuals": {"all": {"0": 0.7, "1": 0.7}}, "level": 0.9,
}  # fmt: skip
VALUES = (
    float("nan"), float("inf"), -1.0, 0, 1e308, 10**400, "", "x", "<script>", None, True, [], {}, [1], ["a", "b"],
    {"all": {}}, {"0": 1},
)  # fmt: skip


def _locked(content: dict[str, Any]) -> str:
    plain = {k: v for k, v in content.items() if k != "sha256"}
    return hash_bytes(json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for k, v in items for p in ((*path, k), *_places(v, (*path, k)))]


@attack(
    "locked-models",
    "locked models with a value exchanged or lost, hashed anew or not, and texts that are none",
    count=5000,
)
def locked_models(rng: np.random.Generator, count: int) -> Tally:
    from crosstalk.learn.cohort import read_cohort
    from crosstalk.learn.external import predict_locked
    from crosstalk.learn.locked import read_locked
    from crosstalk.report.documents import dump
    from crosstalk.report.learning import predict_html, predict_tables

    tally = Tally()
    with TemporaryDirectory() as place:
        path, table = Path(place) / "m.json", Path(place) / "new.csv"
        table.write_text("patient,age,hsCRP [mg/L]\n" + "".join(f"P{i},{30 + i},{1 + i}\n" for i in range(12)))
        for number in tally.tries(count):
            content = json.loads(json.dumps({**MODEL, "sha256": _locked(MODEL)}))
            *way, last = (places := _places(content))[int(rng.integers(0, len(places)))]
            part = content
            for step in way:
                part = part[step]
            before = repr(content)
            if rng.random() < 0.15:
                del part[last]
            else:
                part[last] = VALUES[int(rng.integers(0, len(VALUES)))]
            if rehashed := bool(rng.random() < 0.7):
                content["sha256"] = _locked(content)
            text = json.dumps(content).encode()
            if rng.random() < 0.1:
                text = damaged(rng, text)
            elif rng.random() < 0.02:
                text = b"[" * 100_000 + b"]" * 100_000 if rng.random() < 0.5 else b'{"format": ' + b"9" * 10_000 + b"}"
            path.write_bytes(text)
            try:
                model = read_locked(path)
                found = predict_locked(model, read_cohort(table, model.columns(["patient", "age"])), "m.json")
                dump(found), predict_html(found), predict_tables(found)
                values = [row.value for row in found.patients]
                if np.isfinite(values).all() and (rehashed or repr(content) == before):
                    tally.pass_()
                else:
                    tally.fault(f"try {number}: {[*way, last]} = {text[:0]!r}, values {values[:2]}")
            except CrosstalkError:
                tally.refuse()
            except Exception as error:  # what an attack looks for
                tally.fault(f"try {number}: {[*way, last]}, {type(error).__name__}: {error}")
    return tally


SBML = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1"><model>
<listOfParameters><parameter id="x" value="1" constant="false"/><parameter id="k" value="0.25" constant="true"/>
</listOfParameters><listOfRules><rateRule variable="x"><math xmlns="http://www.w3.org/1998/Math/MathML">
<apply><times/><cn>-1</cn><ci>k</ci><ci>x</ci></apply></math></rateRule></listOfRules></model></sbml>"""


@attack("kernels", "machine code in the cache damaged, writable for others, owned by others", count=200)
def kernels(rng: np.random.Generator, count: int) -> Tally:
    from crosstalk.engine import Problem, get_engine
    from crosstalk.engine.compiled import compile_system

    problem = Problem(SBML, 1, {}, np.array([0.0, 4.0]), ("x",))
    tally, before = Tally(), os.environ.get("CROSSTALK_CACHE")
    with TemporaryDirectory() as place:
        cache = Path(place) / "cache"
        os.environ["CROSSTALK_CACHE"] = str(cache)
        try:
            compile_system.cache_clear()
            wanted = get_engine("fast").simulate(problem).values.tobytes()
            (kernel,) = cache.glob("kernel-*.bin")
            whole = kernel.read_bytes()
            tricks: tuple[tuple[str, Callable[[], object]], ...] = (
                ("damaged", lambda: kernel.write_bytes(damaged(rng, whole))),
                ("file for others", lambda: kernel.chmod(0o666)),
                ("folder for others", lambda: cache.chmod(0o777)),
                ("file of another", lambda: os.chown(kernel, 65534, -1)),
                ("folder of another", lambda: os.chown(cache, 65534, -1)),
            )
            usable = tricks if os.geteuid() == 0 else tricks[:3]
            for number in tally.tries(count):
                shutil.rmtree(cache)
                cache.mkdir(mode=0o700)
                kernel.write_bytes(whole)
                kernel.chmod(0o600)
                name, trick = usable[int(rng.integers(0, len(usable)))]
                if name != "damaged":
                    kernel.write_bytes(damaged(rng, whole[:2000]) + whole[2000:])
                trick()
                compile_system.cache_clear()
                if get_engine("fast").simulate(problem).values.tobytes() == wanted:
                    tally.pass_()
                else:
                    tally.fault(f"try {number}: {name}")
        finally:
            os.environ.pop("CROSSTALK_CACHE")
            if before is not None:
                os.environ["CROSSTALK_CACHE"] = before
    return tally
