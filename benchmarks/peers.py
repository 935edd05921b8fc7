"""Other solvers on the same problem. Each maker returns a function from a tolerance to values, integration alone timed.

A peer that is not installed, or does not build here, says why and is left out; users of Crosstalk need none of them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine import Problem, get_engine
from crosstalk.engine.expressions import Graph
from crosstalk.engine.sbml import OdeSystem, read_sbml

Array = NDArray[np.float64]
Solve = Callable[[float], tuple[Array, float]]  # values and seconds


@dataclass(frozen=True)
class Peer:
    """A solver: its name, how to make it ready, and how many patients it gets."""

    name: str
    distribution: str
    make: Callable[[Problem], Solve]
    patients: int

    @property
    def version(self) -> str:
        """Version that is installed."""
        return metadata.version(self.distribution)


def tables(problem: Problem) -> tuple[OdeSystem, Array, Array]:
    """The system, parameters (n, n_parameters) and initial states (n, n_states)."""
    system = read_sbml(problem.sbml)
    parameters = np.tile(list(system.parameters.values()), (problem.n, 1))
    for j, name in enumerate(system.parameters):
        if name in problem.parameters:
            parameters[:, j] = problem.parameters[name]
    start = np.tile(system.initial, (problem.n, 1))
    for j, name in enumerate(system.states):
        if name in problem.initial:
            start[:, j] = problem.initial[name]
    return system, parameters, start


def source(system: OdeSystem, symbol: Callable[[str], str], assign: str = "{} = {}") -> tuple[list[str], list[str]]:
    """Lines that compute shared nodes, and the expressions of the rates."""
    graph: Graph = system.graph
    nodes = graph.needed(system.rates)
    uses = dict.fromkeys(nodes, 0)
    for node in nodes:
        for child in graph.children(node):
            uses[child] += 1
    text: dict[int, str] = {}
    lines = []
    binary = {"add": "({} + {})", "sub": "({} - {})", "mul": "({} * {})"}
    for node in nodes:
        op, args = graph.ops[node], graph.args[node]
        if op == "const":
            text[node] = repr(args[0]) if args[0] >= 0 else f"({args[0]!r})"
            continue
        if op == "sym":
            text[node] = symbol(args[0])
            continue
        x = [text[a] for a in args]
        if op in binary:
            made = binary[op].format(*x)
        elif op == "recip":
            made = f"(1.0 / {x[0]})"
        elif op == "neg":
            made = f"(-{x[0]})"
        else:
            made = f"{op}({x[0]})"
        if uses[node] > 1:
            lines.append(assign.format(f"v{node}", made))
            made = f"v{node}"
        text[node] = made
    return lines, [text[r] for r in system.rates]


def numba_rates(system: OdeSystem) -> Any:
    """Right-hand side ``f(t, y, p, out)`` compiled by Numba."""
    import numba

    places = {name: f"p[{j}]" for j, name in enumerate(system.parameters)}
    places.update({name: f"y[{j}]" for j, name in enumerate(system.states)})
    lines, rates = source(system, places.__getitem__)
    body = "\n    ".join([*lines, *(f"out[{j}] = {r}" for j, r in enumerate(rates))])
    scope: dict[str, Any] = {"exp": np.exp, "sqrt": np.sqrt, "log": np.log}
    exec(f"def rates(t, y, p, out):\n    {body}", scope)
    return numba.njit(scope["rates"])


def one_by_one(problem: Problem, solve: Callable[[Array, Array, float], Array]) -> Solve:
    """Loop over patients; ``solve`` gives (n_times, n_states)."""
    _, parameters, start = tables(problem)

    def run(rtol: float) -> tuple[Array, float]:
        began = time.perf_counter()
        found = [solve(p, y, rtol) for p, y in zip(parameters, start, strict=True)]
        seconds = time.perf_counter() - began
        return np.stack(found).transpose(0, 2, 1), seconds

    return run


def crosstalk(problem: Problem) -> Solve:
    """Crosstalk's own engine, one thread."""
    return through("fast", problem)


def roadrunner(problem: Problem) -> Solve:
    """LibRoadRunner (CVODE) with its LLVM backend."""
    return through("reference", problem)


def through(name: str, problem: Problem) -> Solve:
    """One of the package's engines."""
    engine = get_engine(name, jobs=1)

    def run(rtol: float) -> tuple[Array, float]:
        began = time.perf_counter()
        values = engine.simulate(problem, rtol=rtol).values
        return values, time.perf_counter() - began

    return run


def lsoda(problem: Problem) -> Solve:
    """SciPy's LSODA with a right-hand side that Numba compiled."""
    import numba
    from scipy.integrate import odeint

    system, _, start = tables(problem)
    in_place = numba_rates(system)

    @numba.njit
    def rates(t, y, p):  # type: ignore[no-untyped-def]
        out = np.empty(len(y))
        in_place(t, y, p, out)
        return out

    rates(0.0, start[0], np.array(list(system.parameters.values())))

    def solve(p: Array, y: Array, rtol: float) -> Array:
        return np.asarray(
            odeint(rates, y, problem.times_h, (p,), rtol=rtol, atol=rtol * 1e-3, tfirst=True, mxstep=100_000)
        )

    return one_by_one(problem, solve)


def numbalsoda(problem: Problem) -> Solve:
    """LSODA in C++ through numbalsoda, with the same right-hand side and no Python in the loop."""
    import numba
    from numbalsoda import lsoda as solver
    from numbalsoda import lsoda_sig

    system, _, _ = tables(problem)
    in_place = numba_rates(system)
    n_states, n_parameters = len(system.states), len(system.parameters)

    @numba.cfunc(lsoda_sig)
    def rates(t, y, out, p):  # type: ignore[no-untyped-def]
        in_place(t, numba.carray(y, (n_states,)), numba.carray(p, (n_parameters,)), numba.carray(out, (n_states,)))

    def solve(p: Array, y: Array, rtol: float) -> Array:
        times = np.asarray(problem.times_h)
        values, good = solver(rates.address, y.copy(), times, data=p.copy(), rtol=rtol, atol=rtol * 1e-3)
        return np.asarray(values) if good else np.full((len(times), n_states), np.nan)

    return one_by_one(problem, solve)


def amici(problem: Problem) -> Solve:
    """CVODES with AMICI's generated C++: analytic sparse Jacobian, KLU. Needs a C++ compiler."""
    # the tools that come with AMICI lie beside this Python
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    from amici import SbmlImporter, import_model_module
    from amici.sim.sundials import run_simulation

    system, _, _ = tables(problem)
    folder = tempfile.mkdtemp()
    SbmlImporter(problem.sbml, from_file=False).sbml2amici("benchmarked", folder, generate_sensitivity_code=False)
    model = import_model_module("benchmarked", folder).get_model()
    model.set_timepoints(problem.times_h)
    solver = model.create_solver()
    solver.set_max_steps(100_000)
    names, states = list(system.parameters), list(system.states)
    inputs = [names.index(name) for name in model.get_free_parameter_ids()]
    order = [states.index(name) for name in model.get_state_ids()]
    back = np.argsort(order)

    def solve(p: Array, y: Array, rtol: float) -> Array:
        solver.set_relative_tolerance(rtol)
        solver.set_absolute_tolerance(rtol * 1e-3)
        model.set_free_parameters(p[inputs])
        model.set_initial_state(y[order])
        return np.asarray(run_simulation(model, solver).x)[:, back]

    return one_by_one(problem, solve)


def diffsol(problem: Problem) -> Solve:
    """Diffsol (Rust) through pydiffsol: BDF, model compiled by its LLVM backend."""
    import pydiffsol

    system, _, _ = tables(problem)
    names = {name: f"p{j}" for j, name in enumerate(system.parameters)}
    names.update({name: f"y{j}" for j, name in enumerate(system.states)})
    lines, rates = source(system, names.__getitem__, "{} {{ {} }}")
    inputs = [f"{names[k]} = {v!r}" for k, v in system.parameters.items()]
    inputs += [f"s{j} = {v!r}" for j, v in enumerate(system.initial)]
    states = [f"y{j} = s{j}" for j in range(len(system.states))]
    code = "\n".join(
        ["in_i {", ",\n".join(inputs), "}", "u_i {", ",\n".join(states), "}", *lines, "F_i {", ",\n".join(rates), "}"]
    )
    ode = pydiffsol.Ode(code, matrix_type=pydiffsol.faer_dense, linear_solver=pydiffsol.lu, ode_solver=pydiffsol.bdf)

    def solve(p: Array, y: Array, rtol: float) -> Array:
        ode.rtol, ode.atol = rtol, rtol * 1e-3
        return np.asarray(ode.solve_dense(np.concatenate([p, y]), problem.times_h).ys).T

    return one_by_one(problem, solve)


def diffrax(problem: Problem) -> Solve:
    """Diffrax (JAX): Kvaerno5, all patients in one batch."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import diffrax as dfx
    import jax.numpy as jnp

    system, parameters, start = tables(problem)
    places = {name: f"p[{j}]" for j, name in enumerate(system.parameters)}
    places.update({name: f"y[{j}]" for j, name in enumerate(system.states)})
    lines, rates = source(system, places.__getitem__)
    body = "\n    ".join([*lines, f"return jnp.stack([{', '.join(rates)}])"])
    scope: dict[str, Any] = {"jnp": jnp, "exp": jnp.exp, "sqrt": jnp.sqrt, "log": jnp.log}
    exec(f"def rates(t, y, p):\n    {body}", scope)

    def solve(p: Any, y: Any, rtol: Any) -> Any:
        controller = dfx.PIDController(rtol=rtol, atol=rtol * 1e-3)
        grid = dfx.SaveAt(ts=jnp.asarray(problem.times_h))
        return dfx.diffeqsolve(
            dfx.ODETerm(scope["rates"]), dfx.Kvaerno5(), 0.0, float(problem.times_h[-1]), 0.01, y, p, saveat=grid,
            stepsize_controller=controller, max_steps=20_000,
        ).ys  # fmt: skip

    batched = jax.jit(jax.vmap(solve, in_axes=(0, 0, None)))
    batched(parameters, start, 1e-3).block_until_ready()

    def run(rtol: float) -> tuple[Array, float]:
        began = time.perf_counter()
        values = np.asarray(batched(parameters, start, rtol))
        return values.transpose(0, 2, 1), time.perf_counter() - began

    return run


def copasi(problem: Problem) -> Solve:
    """COPASI (LSODA) through basico."""
    import basico

    system, parameters, start = tables(problem)
    model = basico.load_model_from_string(problem.sbml)
    names = list(system.parameters)
    columns = ["Time", *(f"Values[{s}]" for s in system.states)]
    given = [j for j, name in enumerate(names) if name in problem.parameters]
    for name in system.states:
        # an initial assignment would win over a patient's own value
        basico.set_parameters(name, initial_expression="", exact=True, model=model)

    def run(rtol: float) -> tuple[Array, float]:
        found, seconds = [], 0.0
        for p, y in zip(parameters, start, strict=True):
            for j in given:
                basico.set_parameters(names[j], initial_value=float(p[j]), exact=True, model=model)
            for name, value in zip(system.states, y, strict=True):
                basico.set_parameters(name, initial_value=float(value), exact=True, model=model)
            began = time.perf_counter()
            course = basico.run_time_course_with_output(
                columns,
                values=list(problem.times_h),
                use_initial_values=True,
                r_tol=rtol,
                a_tol=rtol * 1e-3,
                model=model,
            )
            seconds += time.perf_counter() - began
            found.append(course.to_numpy()[:, 1:].T)
        return np.stack(found), seconds

    return run


PEERS = (
    Peer("Crosstalk", "crosstalk-mdd", crosstalk, 2048),
    Peer("libRoadRunner", "libroadrunner", roadrunner, 64),
    Peer("pydiffsol", "pydiffsol", diffsol, 64),
    Peer("numbalsoda", "numbalsoda", numbalsoda, 64),
    Peer("AMICI", "amici", amici, 64),
    Peer("SciPy LSODA + Numba", "scipy", lsoda, 64),
    Peer("diffrax", "diffrax", diffrax, 64),
    Peer("COPASI", "copasi-basico", copasi, 8),
)

__all__ = ["PEERS", "Peer"]
