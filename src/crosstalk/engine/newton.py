"""Damped Newton for many patients at once: the model's own sparse factorisation, patients in lanes.

Lanes are refilled as patients finish, and no operation mixes them: a root does not depend on who is sought beside it.
A parameter may be solved for together with the state, on the log scale, so that an output takes a wanted value.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from crosstalk.engine.jit import call, compiled

__all__ = ["find_roots"]

DAMPING = np.array([1.0, 0.5, 0.25, 0.1, 0.03, 0.01])
LOG_STEP = 1.5  # largest change of the logarithm of a solved parameter in one step
SHIFT = 1e-6  # of finite differences: of a logarithm, or relative to the states
LARGEST_LOG = 700.0
LEAST_LOG = 1e-12  # parameter whose logarithm stands for that of 0
LARGEST_JUMP = 1e3  # of a state, relative to its own size, that finite differences take into account
EPSILON = 2.2e-16  # rounding of a number
ROUNDING = 2e-3  # [time] of what flows in and out of a state: with the limit, what rounding leaves of a rate of 0
INACCURATE = 1e-3  # residual of a linear system, relative to its right side, from which pivots are chosen with care


@compiled(error_model="numpy")
def find_roots(
    kernel,  # RootKernel
    pattern,  # (n_entries, 2): row and column of the Jacobian's entries
    sizes,  # RootSizes
    columns,  # (n_solved,): places of the parameters to solve for
    sources,  # (n_solved, 2): table (0 state, 1 variable, 2 parameter) and place of the outputs
    wanted,  # (n_patients, n_solved)
    parameters,  # (n_patients, n_parameters), solved columns are replaced
    states,  # (n_patients, n_states), replaced
    size,  # (n_patients, n_states): largest magnitude so far, 0 if not known; replaced
    floor,  # share of that (or of 1) below which a state is judged on this scale
    limit,  # relative rate of change and gap at which a root is found
    most,  # steps
):
    """Improve states (and solved parameters) until nothing changes; returns the norms that are left."""
    width, n_hoisted, n_variables, n_switches, n_work = (
        sizes.width, sizes.hoisted, sizes.variables, sizes.switches, sizes.work,
    )  # fmt: skip
    n_patients, n, m = states.shape[0], states.shape[1], len(columns)
    n_parameters, n_entries = parameters.shape[1], len(pattern)
    norms = np.full(n_patients, np.inf)
    y, trial = np.ones((n, width)), np.ones((n, width))
    # switches are held in steps of time alone
    n_held = n_parameters + n_switches + 1
    p, q = np.ones((n_held, width)), np.ones((n_held, width))
    h, h1 = np.ones((n_hoisted + 1, width)), np.ones((n_hoisted + 1, width))
    f, spare, entries = np.empty((n, width)), np.empty((n, width)), np.empty((n_entries + 1, width))
    lu, zero = np.empty((n_work, width)), np.zeros(width)
    o, above = np.empty((n_variables + 1, width)), np.empty((n_variables + 1, width))
    gap, gap1 = np.empty((m, width)), np.empty((m, width))
    logs, logs1 = np.zeros((m, width)), np.zeros((m, width))
    right, u = np.zeros((1 + m, n, width)), np.zeros((1 + m, n, width))
    along, by_log = np.zeros((1 + m, m, width)), np.zeros((m, m, width))
    small, last = np.empty((m, m)), np.empty(m)
    dense, vector = np.empty((n, n)), np.empty(n)
    patient, steps, level = np.full(width, -1), np.zeros(width, np.int64), np.zeros(width, np.int64)
    norm, reach = np.ones(width), np.ones(width)
    scale, noise = np.ones((n, width)), np.zeros((n, width))
    good = np.zeros(width, np.bool_)
    hoist, rhs, outputs, jacobian, factor, solve = kernel
    following, running = 0, 0
    while True:
        changed = False
        for lane in range(width):
            if patient[lane] < 0 and following < n_patients:
                i = following
                following += 1
                patient[lane], steps[lane], level[lane], norm[lane] = i, 0, 0, -1.0
                running += 1
                changed = True
                for k in range(n_parameters):
                    p[k, lane] = parameters[i, k]
                for k in range(n):
                    y[k, lane] = states[i, k]
                for k in range(m):
                    logs[k, lane] = np.log(max(p[columns[k], lane], LEAST_LOG))
                    p[columns[k], lane] = np.exp(logs[k, lane])
        if running == 0:
            return norms
        if changed:
            # an idle lane keeps its last patient
            call(hoist, (p.ctypes.data, h.ctypes.data))
        call(factor, (y.ctypes.data, h.ctypes.data, zero.ctypes.data, f.ctypes.data, lu.ctypes.data))
        call(jacobian, (y.ctypes.data, h.ctypes.data, spare.ctypes.data, entries.ctypes.data))
        _flows(noise, entries, pattern, y)
        if m > 0 or changed:
            call(outputs, (y.ctypes.data, h.ctypes.data, o.ctypes.data))
            for lane in range(width):
                _gaps(gap, sources, wanted, patient[lane], y, o, p, lane)
        if changed:
            for lane in range(width):
                if patient[lane] >= 0 and norm[lane] < 0:
                    _judge(scale, size, f, y, patient[lane], floor, lane)
                    norm[lane] = _norm(f, y, gap, wanted, patient[lane], scale, noise, floor, lane)
                    if norm[lane] <= limit:
                        running -= _store(norms, states, parameters, columns, patient, y, p, norm, lane)
            if running == 0:
                continue
        # derivatives of the rates and outputs by the logarithms of solved parameters
        right[0] = f
        for k in range(m):
            q[:] = p
            for lane in range(width):
                q[columns[k], lane] = np.exp(min(max(logs[k, lane] + SHIFT, -LARGEST_LOG), LARGEST_LOG))
            call(hoist, (q.ctypes.data, h1.ctypes.data))
            call(rhs, (y.ctypes.data, h1.ctypes.data, spare.ctypes.data))
            call(outputs, (y.ctypes.data, h1.ctypes.data, above.ctypes.data))
            right[1 + k] = (spare - f) / SHIFT
            for lane in range(width):
                _gaps(gap1, sources, wanted, patient[lane], y, above, q, lane)
            by_log[:, k] = (gap1 - gap) / SHIFT
        good[:] = True
        for k in range(1 + m):
            u[k] = right[k]
            call(solve, (lu.ctypes.data, u[k].ctypes.data))
            for lane in range(width):
                if patient[lane] >= 0 and not _accurate(entries, pattern, u[k], right[k], vector, lane):
                    dense[:] = 0.0
                    for e in range(n_entries):
                        dense[pattern[e, 0], pattern[e, 1]] = -entries[e, lane]
                    vector[:] = right[k, :, lane]
                    good[lane] &= _eliminate(dense, vector)
                    u[k, :, lane] = vector
        # how the outputs change along each solution
        for k in range(1 + m if m > 0 else 0):
            for lane in range(width):
                largest = 0.0
                for j in range(n):
                    if u[k, j, lane] != 0.0:
                        own = max(abs(y[j, lane]), scale[j, lane], abs(u[k, j, lane]) / LARGEST_JUMP)
                        largest = max(largest, abs(u[k, j, lane]) / own)
                reach[lane] = SHIFT / largest if largest > 0.0 else 1.0
                for j in range(n):
                    trial[j, lane] = y[j, lane] + reach[lane] * u[k, j, lane]
            call(outputs, (trial.ctypes.data, h.ctypes.data, above.ctypes.data))
            for lane in range(width):
                _gaps(gap1, sources, wanted, patient[lane], trial, above, p, lane)
                for j in range(n):
                    trial[j, lane] = y[j, lane] - reach[lane] * u[k, j, lane]
            along[k] = gap1
            call(outputs, (trial.ctypes.data, h.ctypes.data, above.ctypes.data))
            for lane in range(width):
                _gaps(gap1, sources, wanted, patient[lane], trial, above, p, lane)
            along[k] = (along[k] - gap1) / (2 * reach)
        q[:] = p
        for lane in range(width):
            if patient[lane] < 0:
                continue
            shorter = 1.0
            if m > 0:
                # the Schur complement of the states
                for j in range(m):
                    last[j] = -gap[j, lane] - along[0, j, lane]
                    for k in range(m):
                        small[j, k] = by_log[j, k, lane] + along[1 + k, j, lane]
                good[lane] &= _eliminate(small, last)
                for k in range(m):
                    # shortened as a whole, so that the states stay on the way of the parameter
                    shorter = min(shorter, LOG_STEP / max(abs(last[k]), 1e-300))
            shorter *= DAMPING[level[lane]]
            for j in range(n):
                step = u[0, j, lane]
                for k in range(m):
                    step += u[1 + k, j, lane] * last[k]
                good[lane] &= np.isfinite(step)
                trial[j, lane] = y[j, lane] + shorter * step
            for k in range(m):
                logs1[k, lane] = logs[k, lane] + shorter * last[k]
                q[columns[k], lane] = np.exp(min(max(logs1[k, lane], -LARGEST_LOG), LARGEST_LOG))
        if m > 0:
            call(hoist, (q.ctypes.data, h1.ctypes.data))
            call(outputs, (trial.ctypes.data, h1.ctypes.data, above.ctypes.data))
            call(rhs, (trial.ctypes.data, h1.ctypes.data, f.ctypes.data))
        else:
            call(rhs, (trial.ctypes.data, h.ctypes.data, f.ctypes.data))
        refused = False
        for lane in range(width):
            i = patient[lane]
            if i < 0:
                continue
            _gaps(gap1, sources, wanted, i, trial, above, q, lane)
            found = _norm(f, trial, gap1, wanted, i, scale, noise, floor, lane)
            better = found < norm[lane]
            if m > 0 and level[lane] == 0:
                # far from the targets fast states may fall behind a little: they follow within the next step
                better |= found < 2 * norm[lane] and norm[lane] > 1e-3
            if good[lane] and better:
                for j in range(n):
                    y[j, lane] = trial[j, lane]
                for k in range(m):
                    logs[k, lane], p[columns[k], lane] = logs1[k, lane], q[columns[k], lane]
                _judge(scale, size, f, y, i, floor, lane)
                norm[lane], level[lane] = found, 0
                steps[lane] += 1
            else:
                refused = True
                level[lane] += 1
            if norm[lane] <= limit or steps[lane] >= most or level[lane] >= len(DAMPING) or not good[lane]:
                running -= _store(norms, states, parameters, columns, patient, y, p, norm, lane)
        if m > 0:
            if refused:
                call(hoist, (p.ctypes.data, h.ctypes.data))
            else:
                h, h1 = h1, h


@njit(nogil=True)
def _gaps(gap, sources, wanted, i, y, o, p, lane):
    """Outputs less what is wanted of them, for one lane."""
    for k in range(len(sources)):
        table, place = sources[k, 0], sources[k, 1]
        value = y[place, lane] if table == 0 else o[place, lane] if table == 1 else p[place, lane]
        gap[k, lane] = value - wanted[max(i, 0), k]


@njit(nogil=True)
def _flows(noise, entries, pattern, y):
    """What the rounding of all that flows in and out of each state may leave of its rate, as a scale for the state."""
    noise[:] = 0.0
    for e in range(len(pattern)):
        for lane in range(y.shape[1]):
            flow = ROUNDING * abs(entries[e, lane] * y[pattern[e, 1], lane])
            if flow < np.inf:
                noise[pattern[e, 0], lane] += flow


@njit(nogil=True)
def _judge(scale, size, f, y, i, floor, lane):
    """Set the scales of one lane by the sizes so far, so that units do not matter.

    A state at 0 that moves is not near a root whatever its rate. One that lies below the rounding of others is judged
    on the scale of 1: where it is not 0, the solution of a linear system may have moved it.
    """
    largest = 0.0
    for j in range(len(y)):
        size[i, j] = max(size[i, j], abs(y[j, lane]))
        largest = max(largest, size[i, j])
    for j in range(len(y)):
        if size[i, j] > EPSILON * largest:
            scale[j, lane] = floor * min(1.0, size[i, j])
        else:
            scale[j, lane] = 0.0 if y[j, lane] == 0.0 and f[j, lane] != 0.0 else floor


@njit(nogil=True, error_model="numpy")
def _norm(f, y, gap, wanted, i, scale, noise, floor, lane):
    """Largest relative rate of change and relative gap; infinite if one is not a number."""
    largest = 0.0
    for j in range(len(f)):
        if f[j, lane] != 0.0:
            rate = abs(f[j, lane]) / max(abs(y[j, lane]), scale[j, lane], noise[j, lane])
            largest = max(largest, rate) if rate < np.inf else np.inf
    for k in range(len(gap)):
        rate = abs(gap[k, lane]) / (abs(wanted[i, k]) if wanted[i, k] != 0.0 else floor)
        largest = max(largest, rate) if rate < np.inf else np.inf
    return largest


@njit(nogil=True)
def _store(norms, states, parameters, columns, patient, y, p, norm, lane):
    i = patient[lane]
    norms[i] = norm[lane]
    for j in range(len(y)):
        states[i, j] = y[j, lane]
    for k in range(len(columns)):
        parameters[i, columns[k]] = p[columns[k], lane]
    patient[lane] = -1
    return 1


@njit(nogil=True)
def _accurate(entries, pattern, u, right, residual, lane):
    """Whether ``-J u`` is the right side: pivots taken from the diagonal may be too small."""
    largest = 0.0
    for j in range(len(residual)):
        residual[j] = right[j, lane]
        largest = max(largest, abs(residual[j]))
    for e in range(len(pattern)):
        residual[pattern[e, 0]] += entries[e, lane] * u[pattern[e, 1], lane]
    for j in range(len(residual)):
        if not abs(residual[j]) <= INACCURATE * largest:
            return False
    return True


@njit(nogil=True)
def _eliminate(a, b):
    """Solve a small dense system in place with pivots of the largest size; false if it has no solution."""
    n = len(b)
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(a[i, k]) > abs(a[best, k]):
                best = i
        if not (abs(a[best, k]) > 0.0 and abs(a[best, k]) < np.inf):
            return False
        if best != k:
            for j in range(n):
                a[k, j], a[best, j] = a[best, j], a[k, j]
            b[k], b[best] = b[best], b[k]
        for i in range(k + 1, n):
            if a[i, k] != 0.0:
                share = a[i, k] / a[k, k]
                for j in range(k + 1, n):
                    a[i, j] -= share * a[k, j]
                b[i] -= share * b[k]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            b[k] -= a[k, j] * b[j]
        b[k] /= a[k, k]
    return True
