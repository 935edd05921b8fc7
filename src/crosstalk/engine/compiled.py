"""Machine code of a model: compiled for this processor once, kept on disk, loaded in milliseconds.

It is kept for this model, processor, version of LLVM and of the code that wrote it; see `crosstalk.store`, which lends
out code only from places that nobody else can write.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from crosstalk.engine.rodas import RODAS5P, Rosenbrock
from crosstalk.engine.sbml import TIME
from crosstalk.engine.starting import Starting
from crosstalk.provenance import hash_bytes
from crosstalk.store import cached

__all__ = ["CompiledSystem", "compile_system"]

FUNCTIONS = (
    "hoist", "rhs", "outputs", "rates", "jacobian", "signals", "factor", "factor_rates", "solve", "step", "prepare",
    "dense",
)  # fmt: skip
WITHOUT = {"rates": "rhs", "factor_rates": "factor"}  # one function where no condition is held
SOURCES = (
    "document", "nesting", "expressions", "mathematics", "sbml", "switches", "starting", "factorization", "rodas",
    "kernel", "compiled",
)  # fmt: skip


@dataclass(frozen=True)
class CompiledEvent:
    """The flags of an event, see `crosstalk.engine.sbml.ModelEvent`, and its targets."""

    persistent: bool
    initial: bool
    early: bool
    targets: tuple[str, ...]


@dataclass(frozen=True)
class CompiledSystem:
    """A model as machine code.

    Attributes
    ----------
    states, variables : tuple of str
    initial : tuple of float
        Initial values of the states.
    parameters : mapping of str to float
        The model's own values.
    starting : Starting
        How initial values follow from other values.
    amounts : mapping of str to (str, str)
        Species held as amounts: by which state or parameter, and in which compartment.
    switches : tuple of (kind, closed, known)
    bounded, fine : bool
        Whether the kernel bounds the step, and whether the driver must, for what depends on time alone.
    events : tuple of CompiledEvent
    time_unit : str
    pattern : tuple of (row, column)
        Entries of the Jacobian, in the order in which the kernel writes them.
    width : int
        Patients per vector.
    n_signals, n_hoisted, n_work : int
        Sizes of the kernel's work space, in vectors.
    address : mapping of str to int
        Of the kernel's functions.
    """

    states: tuple[str, ...]
    variables: tuple[str, ...]
    initial: tuple[float, ...]
    parameters: Mapping[str, float]
    starting: Starting
    amounts: Mapping[str, tuple[str, str]]
    switches: tuple[tuple[int, bool, bool], ...]
    bounded: bool
    fine: bool
    events: tuple[CompiledEvent, ...]
    time_unit: str
    pattern: tuple[tuple[int, int], ...]
    width: int
    n_signals: int
    n_hoisted: int
    n_work: int
    address: Mapping[str, int]
    clock: int  # place of the state that is time itself, -1 if none
    keep: Any  # the loaded object; its code lives as long as this


@lru_cache(maxsize=64)
def compile_system(sbml: str, method: Rosenbrock = RODAS5P) -> CompiledSystem:
    """Compile SBML text, or load what was compiled before.

    Raises
    ------
    ModelError
        If the model uses what is not supported.
    """
    import llvmlite
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    width = 8 if "+avx512f" in features else 4
    store = cached(
        "kernel", _code_hash(), sbml, method.name, width, cpu, features, llvmlite.__version__, llvm.llvm_version_info,
        platform.machine(),
    )  # fmt: skip
    machine = llvm.Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=2, jit=True)
    kept = store.load()
    if kept is None:
        header, code = _compile(sbml, method, width, machine)
        store.save(json.dumps(header).encode() + b"\n" + code)
    else:
        text, _, code = bytes(kept).partition(b"\n")
        header = json.loads(text)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return CompiledSystem(
        tuple(header["states"]),
        tuple(header["variables"]),
        tuple(float(x) for x in header["initial"]),
        {k: float(v) for k, v in header["parameters"].items()},
        Starting.of(header["following"]),
        {k: (held, size) for k, (held, size) in header["amounts"].items()},
        tuple((k, c, w) for k, c, w in header["switches"]),
        header["bounded"],
        header["fine"],
        tuple(CompiledEvent(p, i, e, tuple(t)) for p, i, e, t in header["events"]),
        header["time_unit"],
        tuple((i, j) for i, j in header["pattern"]),
        width,
        header["n_signals"],
        header["n_hoisted"],
        header["n_work"],
        {name: engine.get_function_address(name) or engine.get_function_address(WITHOUT[name]) for name in FUNCTIONS},
        header["states"].index(TIME) if TIME in header["states"] else -1,
        engine,
    )


@lru_cache(maxsize=1)
def _code_hash() -> str:
    folder = Path(__file__).parent
    return hash_bytes(b"".join((folder / f"{name}.py").read_bytes() for name in SOURCES))


def _compile(sbml: str, method: Rosenbrock, width: int, machine: Any) -> tuple[dict[str, Any], bytes]:
    import llvmlite.binding as llvm

    from crosstalk.engine.kernel import write_kernel
    from crosstalk.engine.sbml import read_sbml

    system = read_sbml(sbml)
    kernel = write_kernel(system, method, width)
    module = llvm.parse_assembly(kernel.text)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    builder.getModulePassManager().run(module, builder)
    header = {
        "states": system.states,
        "variables": kernel.variables,
        # text keeps NaN and every digit
        "initial": [repr(x) for x in system.initial],
        "parameters": {k: repr(v) for k, v in system.parameters.items()},
        "following": Starting.from_graph(system.graph, system.following).as_json(),
        "amounts": system.amounts,
        "switches": [(s.kind, s.closed, s.known) for s in system.switches],
        "bounded": system.graph.value(system.longest) != float("inf"),
        "fine": system.fine,
        "events": [(e.persistent, e.initial, e.early, [t for t, _ in e.assignments]) for e in system.events],
        "time_unit": system.time_unit,
        "pattern": kernel.pattern,
        "n_signals": kernel.n_signals,
        "n_hoisted": kernel.n_hoisted,
        "n_work": kernel.n_work,
    }
    return json.loads(json.dumps(header)), machine.emit_object(module)
