"""Stability of many Jacobians at once, proved without their eigenvalues.

``(c + J) / (c - J)`` maps an eigenvalue to the left of the imaginary axis into the unit circle, and no other, for every
``c > 0``; so does a product over several ``c``, which takes the columns of the identity through one sparse solution
after another. Where some weights ``v > 0`` satisfy ``|product| v < v``, all its eigenvalues lie in the circle. Only
states that act on each other in circles need this; of the others, the diagonal entries are the eigenvalues.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from crosstalk.engine.jit import call, compiled

__all__ = ["prove_stable"]

SHIFTS = 9  # factors between the slowest and the fastest decay
RANGE = 1e-8  # slowest decay that is looked at, relative to the fastest
POWERS = 6  # of the inverse, which show the slowest decay
WEIGHINGS = 6
PROOF = 0.5  # largest growth of the weights; 1 less what rounding may do
ACCURATE = 1e-8  # residual of a linear system, relative to its right side


@compiled(error_model="numpy")
def prove_stable(
    kernel,  # RootKernel
    pattern,  # (n_entries, 2): row and column of the Jacobian's entries
    sizes,  # RootSizes
    parameters,  # (n_patients, n_parameters)
    states,  # (n_patients, n_states)
    blocks,  # (n_states,): states with one number act on each other in circles
    floor,  # states below are judged on this scale
):
    """Which Jacobians are stable for sure; of the others nothing is said."""
    width, n_hoisted, n_switches, n_work = sizes.width, sizes.hoisted, sizes.switches, sizes.work
    n_patients, n = states.shape
    n_parameters, n_entries = parameters.shape[1], len(pattern)
    sure = np.zeros(n_patients, np.bool_)
    y, f = np.ones((n, width)), np.ones((n, width))
    p, h = np.ones((n_parameters + n_switches + 1, width)), np.ones((n_hoisted + 1, width))
    entries, lu = np.ones((n_entries + 1, width)), np.ones((n_work, width))
    c, slow, fast = np.ones(width), np.ones(width), np.ones(width)
    product, column = np.ones((n, n, width)), np.ones((n, width))
    before, weights, grown = np.ones((n, width)), np.ones((n, width)), np.ones((n, width))
    twice, weight = np.ones((n, width)), np.ones((n, width))
    right, circular = np.ones(width, np.bool_), np.zeros(n, np.bool_)
    for j in range(n):
        for k in range(n):
            circular[j] |= j != k and blocks[j] == blocks[k]
    hoist, jacobian, factor, solve = kernel.hoist, kernel.jacobian, kernel.factor, kernel.solve
    for first in range(0, n_patients, width):
        count = min(width, n_patients - first)
        for lane in range(width):
            i = first + min(lane, count - 1)
            for k in range(n_parameters):
                p[k, lane] = parameters[i, k]
            for k in range(n):
                y[k, lane] = states[i, k]
        call(hoist, (p.ctypes.data, h.ctypes.data))
        call(jacobian, (y.ctypes.data, h.ctypes.data, f.ctypes.data, entries.ctypes.data))
        right[:], fast[:] = True, 0.0
        for e in range(n_entries):
            if pattern[e, 0] == pattern[e, 1]:
                for lane in range(width):
                    fast[lane] = max(fast[lane], abs(entries[e, lane]))
                    right[lane] &= circular[pattern[e, 0]] or entries[e, lane] < 0.0
        _slowest(slow, factor, solve, y, h, f, lu, weights, column, floor)
        for lane in range(width):
            slow[lane] = min(max(slow[lane], RANGE * fast[lane]), fast[lane])
        product[:] = 0.0
        for j in range(n):
            product[j, j, :] = 1.0
        for s in range(SHIFTS):
            for lane in range(width):
                c[lane] = slow[lane] * (fast[lane] / slow[lane]) ** ((s + 0.5) / SHIFTS)
                twice[:, lane] = 2 * c[lane]
            call(factor, (y.ctypes.data, h.ctypes.data, c.ctypes.data, f.ctypes.data, lu.ctypes.data))
            for j in range(n):
                # a test of the pivots, which are taken from the diagonal
                before[j, :] = 1.0 + j / n
                column[j, :] = 1.0 + j / n
            call(solve, (lu.ctypes.data, column.ctypes.data))
            _check(right, entries, pattern, c, column, before)
            for j in range(n):
                if not circular[j]:
                    continue
                column[:] = product[j]
                call(solve, (lu.ctypes.data, column.ctypes.data))
                _reflect(product[j].reshape(-1), column.reshape(-1), twice.reshape(-1))
        for j in range(n):
            for k in range(n):
                if blocks[j] != blocks[k] or not circular[j]:
                    product[j, k] = 0.0
        for k in range(n):
            for lane in range(width):
                weights[k, lane] = max(abs(y[k, lane]), floor)
        for _ in range(WEIGHINGS):
            grown[:] = 0.0
            for j in range(n):
                if not circular[j]:
                    continue
                weight[:] = weights[j]
                _add(grown.reshape(-1), product[j].reshape(-1), weight.reshape(-1))
            proved = True
            for lane in range(width):
                largest, enough = 0.0, True
                for k in range(n):
                    enough &= grown[k, lane] < PROOF * weights[k, lane]
                    largest = max(largest, grown[k, lane] / weights[k, lane])
                proved &= enough
                if enough and right[lane] and lane < count:
                    sure[first + lane] = True
                for k in range(n):
                    weights[k, lane] = weights[k, lane] * 1e-3 + grown[k, lane] / largest
            if proved:
                break
    return sure


@njit(nogil=True)
def _slowest(slow, factor, solve, y, h, f, lu, scale, column, floor):
    """Estimate the slowest decay by powers of the inverse."""
    n, width = y.shape
    slow[:] = 0.0
    call(factor, (y.ctypes.data, h.ctypes.data, slow.ctypes.data, f.ctypes.data, lu.ctypes.data))
    for k in range(n):
        for lane in range(width):
            column[k, lane] = scale[k, lane] = max(abs(y[k, lane]), floor)
    for _ in range(POWERS):
        call(solve, (lu.ctypes.data, column.ctypes.data))
        for lane in range(width):
            largest = 0.0
            for k in range(n):
                largest = max(largest, abs(column[k, lane]) / scale[k, lane])
            slow[lane] = 1.0 / largest if largest > 0.0 else 0.0
            for k in range(n):
                column[k, lane] *= slow[lane]


@njit(nogil=True)
def _reflect(product, column, twice):
    for k in range(len(product)):
        product[k] = twice[k] * column[k] - product[k]


@njit(nogil=True)
def _add(grown, product, weight):
    for k in range(len(grown)):
        grown[k] += abs(product[k]) * weight[k]


@njit(nogil=True)
def _check(right, entries, pattern, c, found, wanted):
    """Note the lanes in which ``(c - J) found`` is not what was wanted; that is replaced."""
    n, width = wanted.shape
    for k in range(n):
        for lane in range(width):
            wanted[k, lane] -= c[lane] * found[k, lane]
    for e in range(len(pattern)):
        for lane in range(width):
            wanted[pattern[e, 0], lane] += entries[e, lane] * found[pattern[e, 1], lane]
    for k in range(n):
        for lane in range(width):
            right[lane] &= abs(wanted[k, lane]) <= ACCURATE
