"""The floating-point limit of one core: its peak, measured, over the operations that the engine's steps need."""

from __future__ import annotations

import ctypes
import re
import time
from dataclasses import dataclass

import numpy as np

from crosstalk.engine import Problem
from crosstalk.engine.chunk import Run, tables
from crosstalk.engine.compiled import compile_system
from crosstalk.engine.kernel import write_kernel
from crosstalk.engine.rodas import RODAS5P, STAGES
from crosstalk.engine.sbml import read_sbml
from crosstalk.engine.timetable import timetable

__all__ = ["Limit", "machine_limit"]

CHAINS = 12  # independent fused multiply-adds in flight
ROUNDS = 20_000_000
OPERATION = re.compile(r"= (?:fadd|fsub|fmul|fdiv|fneg)\b|@llvm\.(?:fabs|maximum|sqrt)")


@dataclass(frozen=True)
class Limit:
    """Peak of the core [GFLOP/s], operations per patient, and their ratio."""

    peak_gflops: float
    flops_per_patient: float

    @property
    def patients_per_second(self) -> float:
        """How many patients a core at its peak would do with the same steps."""
        return self.peak_gflops * 1e9 / self.flops_per_patient


def machine_limit(problem: Problem, rtol: float) -> Limit:
    """Measure the peak and count the operations of the engine at a tolerance."""
    return Limit(peak_flops() / 1e9, flops_per_step(problem.sbml) * steps_per_patient(problem, rtol))


def peak_flops() -> float:
    """Fused multiply-adds per second, counted as two operations each."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    width = 8 if "+avx512f" in features else 4
    v = f"<{width} x double>"
    names = range(CHAINS)
    lines = ["define double @peak(i64 %n) #0 {", "entry:", "  br label %loop", "loop:"]
    lines.append("  %i = phi i64 [0, %entry], [%next, %loop]")
    lines += [f"  %a{k} = phi {v} [splat (double 1.{k + 1:02d}e+00), %entry], [%b{k}, %loop]" for k in names]
    call = f"call {v} @llvm.fma.v{width}f64"
    lines += [f"  %b{k} = {call}({v} %a{k}, {v} splat (double 0.5), {v} splat (double 0.25))" for k in names]
    lines += [
        "  %next = add i64 %i, 1",
        "  %more = icmp ult i64 %next, %n",
        "  br i1 %more, label %loop, label %end",
        "end:",
    ]
    total = "%b0"
    for k in names[1:]:
        lines.append(f"  %s{k} = fadd {v} {total}, %b{k}")
        total = f"%s{k}"
    lines += [f"  %r = extractelement {v} {total}, i32 0", "  ret double %r", "}"]
    lines.append(f"declare {v} @llvm.fma.v{width}f64({v}, {v}, {v})")
    lines.append(f'attributes #0 = {{ nounwind "prefer-vector-width"="{64 * width}" }}')
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=2, jit=True
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly("\n".join(lines)), machine)
    engine.finalize_object()
    peak = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(engine.get_function_address("peak"))
    best = np.inf
    for _ in range(3):
        began = time.perf_counter()
        peak(ROUNDS)
        best = min(best, time.perf_counter() - began)
    return 2.0 * CHAINS * width * ROUNDS / best


def flops_per_step(sbml: str) -> float:
    """Operations of one step for one patient; a division counts as one."""
    system = read_sbml(sbml)
    n = len(system.states)
    text = write_kernel(system, RODAS5P, 4).text
    count: dict[str, int] = {}
    for block in text.split("define void @")[1:]:
        name, _, body = block.partition("(")
        body = body.partition("\n}")[0]
        loops = re.split(r"^(\w+):$", body, flags=re.MULTILINE)
        total = len(OPERATION.findall(loops[0]))
        for label, part in zip(loops[1::2], loops[2::2], strict=True):
            repeated = f"%{label}.n = add" in part
            inside, _, after = part.partition(f"%{label}.n = add")
            total += len(OPERATION.findall(inside)) * (n if repeated else 1) + len(OPERATION.findall(after))
        count[name] = total
    return count["factor"] + STAGES * count["solve"] + (STAGES - 1) * count["rhs"] + count["step"]


def steps_per_patient(problem: Problem, rtol: float) -> float:
    """Accepted and rejected steps, on average."""
    from crosstalk.engine import driver

    part = problem.take(np.arange(min(problem.n, 512)))
    system = compile_system(part.sbml)
    taken = []
    original = driver.integrate

    def counting(*arguments: object) -> tuple[int, int]:
        taken.append(sum(original(*arguments)))
        return 0, 0

    driver.integrate = counting
    try:
        run = Run(system, *tables(part, system), rtol)
        values = np.empty((part.n, 0, len(part.times_h)))
        run.go(np.asarray(part.times_h), (), timetable(part, system), values)
    finally:
        driver.integrate = original
    return sum(taken) / part.n
