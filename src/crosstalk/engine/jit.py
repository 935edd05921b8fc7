"""Functions compiled by Numba once and kept where the kernels are.

Numba's own cache lies beside the source or in the home, wants one of them writable, checks nothing that it reads, and
its files are pickles, which run what is in them. Here its form of a compiled function goes through `crosstalk.store`:
it is read only with the right checksum, and from a place that nobody else can write.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import compiler, serialize
from numba.extending import intrinsic

from crosstalk.provenance import hash_file
from crosstalk.store import Store, cached

__all__ = ["call", "compiled"]

CALLED = tuple(str(Path(__file__).with_name(f"{n}.py")) for n in ("hybrid", "slots"))  # what those kept depend on
numba_compiler: Any = compiler  # without types of their own
numba_form: Any = serialize


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function on its first call, or load what was compiled before; the interpreter is free while it runs."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(nogil=True, **options)(function)
        dispatcher._cache = _Kept(function)
        return dispatcher

    return decorate


@intrinsic
def call(context: Any, address: Any, arguments: Any) -> Any:
    """Call a kernel function at an address with pointers given as integers."""
    signature = types.void(types.intp, arguments)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointers = [builder.extract_value(values[1], i) for i in range(len(arguments))]
        kind = ir.FunctionType(ir.VoidType(), [p.type for p in pointers])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), pointers)
        return context.get_dummy_value()

    return signature, generate


class _Kept:
    """What Numba asks of a cache."""

    cache_path = None

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def load_overload(self, signature: Any, context: Any) -> Any:
        """The compiled function for a signature, or None."""
        context.refresh()
        kept = self._store(signature, context.codegen()).load()
        return None if kept is None else numba_compiler.CompileResult._rebuild(context, *numba_form.loads(bytes(kept)))

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep the compiled function for a signature."""
        if not compiled.lifted and not compiled.library.has_dynamic_globals:
            self._store(signature, compiled.codegen).save(numba_form.dumps(compiled._reduce()))

    def _store(self, signature: Any, codegen: Any) -> Store:
        code = self.function.__code__
        return cached(
            f"jit-{code.co_name}", _versions(), *(_hash(source) for source in (__file__, *CALLED, code.co_filename)),
            code.co_firstlineno, str(signature), repr(codegen.magic_tuple()),
        )  # fmt: skip

    def enable(self) -> None:
        """It always is."""

    def disable(self) -> None:
        """It always is enabled."""

    def flush(self) -> None:
        """Nothing is held back."""


@lru_cache(maxsize=8)
def _hash(source: str) -> str:
    return hash_file(Path(source))


@lru_cache(maxsize=1)
def _versions() -> tuple[str, ...]:
    import llvmlite
    import numba
    import numpy

    return platform.python_version(), numba.__version__, llvmlite.__version__, numpy.__version__
