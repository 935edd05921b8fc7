"""Calls of a kernel's functions by address, from code that Numba compiles."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["call_kernel"]


@intrinsic
def call_kernel(context, address, arguments):
    """Call a kernel function at an address with pointers given as integers."""
    signature = types.void(types.intp, arguments)

    def generate(context, builder, signature, values):
        pointers = [builder.extract_value(values[1], i) for i in range(len(arguments))]
        kind = ir.FunctionType(ir.VoidType(), [p.type for p in pointers])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), pointers)
        return context.get_dummy_value()

    return signature, generate
