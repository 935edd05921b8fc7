"""The model-independent driver: lanes refilled as patients finish, each with its own step, events and output times.

Compiled by Numba once and kept on disk; it knows a model only by the addresses of its kernel's functions. The
interpreter is free while it runs, so chunks of patients run in threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from crosstalk.engine.hybrid import FLOOR, SAME, locate, make_queue, react
from crosstalk.engine.jit import call, compiled

__all__ = ["CODES", "integrate"]

# what became of a patient, in the order of `ensemble.Status`
RUNNING, OK, STEP_LIMIT, NON_FINITE, NEGATIVE = -1, 0, 1, 2, 3
CODES = {OK: "OK", STEP_LIMIT: "STEP_LIMIT", NON_FINITE: "NON_FINITE", NEGATIVE: "NEGATIVE"}

SAFETY, SHRINK, GROW = 0.9, 0.2, 6.0
FIRST_CHANGE = 0.03  # relative change of a state or of its slope that the first step after a start or an event may make
NEGATIVE_TOLERANCE = 1e-6
TINY = 1e-15  # rounding of time; step, relative to it, at which a patient whose error is still too large has failed
BRIEF = 1e-12  # of the whole time: what a state moves in it is not judged on the scale of the state itself
FIRST_SHARE = 0.01  # of the way to the next stop: largest first step that a straight course may take
FIRST_TINY = 1e3  # of that: smallest first step
EARLY = 1e-6  # of the whole time or of 1: time below which a step is judged on this scale
MOST_CAUGHT = 100  # changes in no time that only a course between two directions of flow makes
FINE = 5000.0  # steps in the whole time that see a pulse of unknown width
GROWING = 1e-3  # share of a state's size so far below which it is judged on that scale


@compiled(error_model="numpy")
def integrate(
    kernel,  # StepKernel
    sizes,  # Sizes
    settings,  # Settings
    patients,  # Patients
    times,  # (n_times,), increasing from times[0]
    sources,  # (n_outputs, 2): table (0 state, 1 variable, 2 parameter) and index
    events,  # Timetable
    hybrid,  # None for a smooth model, for which the rest is not even compiled; or of switches (n, 3): kind, closed,
    # known; of own events (n, 5): persistent, initial, early, first assignment, their number; and their targets
    nonnegative,  # (n_states,) bool
    found,  # Found
):
    """Integrate every patient of a chunk; returns accepted and rejected steps."""
    width, n_hoisted, n_work, n_variables = sizes.width, sizes.hoisted, sizes.work, sizes.variables
    clock, n_signals, bounded, fine = sizes.clock, sizes.signals, sizes.bounded, sizes.fine
    rtol, max_steps, growing, shared = settings.rtol, settings.max_steps, settings.growing, settings.shared
    parameters, start, floor = patients.parameters, patients.start, patients.floor
    event_first, event_time, event_target, event_set = events.first, events.time, events.target, events.setting
    event_amount, event_table, event_place = events.amount, events.table, events.place
    values, status, worst = found.values, found.status, found.worst
    last_time, final, size = found.last_time, found.final, found.size
    n_patients, n_states = start.shape
    n_parameters, n_times, n_outputs = parameters.shape[1], len(times), len(sources)
    y, y1 = np.ones((n_states, width)), np.ones((n_states, width))
    point, slope, bent = np.ones((n_states, width)), np.zeros((n_states, width)), np.zeros((n_states, width))
    work, shown = np.zeros((n_work, width)), np.zeros((n_variables + 1, width))
    atol, reached = np.full((n_states, width), rtol), np.zeros((n_states, width))
    restart = np.zeros(width, np.bool_)  # switches and own events must be looked at
    reach = np.full(width, 2.0)  # share of the step up to a change of a switch; 2 if there is none
    n_switches = 0
    if hybrid is not None:
        switches, own, own_target = hybrid
        n_switches, n_own = len(switches), len(own)
        signal, landing = np.zeros((n_signals + 1, width)), np.zeros((n_states, width))
        held = np.zeros((n_own, width), np.bool_)  # whether the trigger of each own event held
        queue = make_queue(n_own, len(own_target), width)
        shows, lost, taken = np.zeros(width, np.bool_), np.zeros(width, np.bool_), np.zeros(width, np.bool_)
        known = np.full(width, np.inf)  # next known change of a switch, or own event after its delay
        counts = np.array([n_states, n_parameters])
        at_change = np.array([kernel.hoist, kernel.signals])
        inside = np.array([kernel.dense, kernel.signals])
        needs_roots = False
        for k in range(n_switches):
            needs_roots |= switches[k, 2] == 0 and switches[k, 0] <= FLOOR
    p, h = np.ones((n_parameters + n_switches + 1, width)), np.ones((n_hoisted + 1, width))
    dt, error, place = np.ones(width), np.zeros(width), np.zeros(width)
    tolerance, growth = np.full(width, rtol), np.full(width, rtol * GROWING if growing else 0.0)
    patient = np.full(width, -1)
    t, step, before = np.zeros(width), np.zeros(width), np.ones(width)
    event, output, steps = np.zeros(width, np.int64), np.zeros(width, np.int64), np.zeros(width, np.int64)
    caught = np.zeros(width, np.int64)  # changes of switches one after the other in no time
    fresh = np.zeros(width, np.bool_)  # needs a first step size
    loaded = np.zeros(width, np.bool_)
    stop = np.zeros(width)
    following, running, accepted, rejected = 0, 0, 0, 0
    end = times[n_times - 1]
    unit = min(1.0, end - times[0]) if end > times[0] else 1.0  # models may count time in seconds or in years
    longest = np.full(width, (end - times[0]) / FINE if fine else np.inf)
    needs_variables = False
    for j in range(n_outputs):
        needs_variables |= sources[j, 0] == 1
    hoist, rhs, outputs, advance = kernel.hoist, kernel.rhs, kernel.outputs, kernel.step
    prepare, dense = kernel.prepare, kernel.dense
    needs_sizes = False
    for e in range(len(event_time)):
        needs_sizes |= event_table[e] == 1

    while True:
        # refill lanes
        changed = False
        if shared:
            # a whole vector at a time, each patient in his own lane
            while running == 0 and following < n_patients:
                for lane in range(width):
                    i = following + lane
                    if i < n_patients and status[i] == RUNNING:
                        patient[lane] = i
                        running += 1
                        fresh[lane] = True
                following += width
        else:
            for lane in range(width):
                while patient[lane] < 0 and following < n_patients:
                    if status[following] == RUNNING:
                        patient[lane] = following
                        running += 1
                        fresh[lane] = True
                    following += 1
        for lane in range(width):
            i = patient[lane]
            if i >= 0 and fresh[lane] and not loaded[lane]:
                for j in range(n_parameters):
                    p[j, lane] = parameters[i, j]
                for j in range(n_states):
                    y[j, lane] = start[i, j]
                    reached[j, lane] = 0.0
                if hybrid is not None:
                    for e in range(n_own):
                        held[e, lane] = own[e, 1] != 0
                    queue[0][:, lane] = -1
                    queue[5][lane] = -1
                    restart[lane] = True
                t[lane], event[lane], output[lane] = times[0], event_first[i], 0
                steps[lane], caught[lane] = 0, 0
                loaded[lane], changed = True, True
        if running == 0:
            return accepted, rejected
        if changed:
            call(hoist, (p.ctypes.data, h.ctypes.data))
            # outputs at the start, before any event
            if needs_variables:
                call(outputs, (y.ctypes.data, h.ctypes.data, shown.ctypes.data))
            for lane in range(width):
                i = patient[lane]
                if i >= 0 and fresh[lane] and output[lane] == 0:
                    _show(values, sources, i, 0, lane, y, shown, p)
                    output[lane] = 1
        # the model's own events come before the doses of the same time
        if hybrid is not None:
            if restart.any():
                react(
                    at_change, switches, own, own_target, counts, p, h, y, signal, t, restart, held, queue, shows,
                    known, lost, bounded, longest,
                )  # fmt: skip
                if shows.any():
                    if needs_variables:
                        call(outputs, (y.ctypes.data, h.ctypes.data, shown.ctypes.data))
                    for lane in range(width):
                        if shows[lane] and output[lane] > 0 and times[output[lane] - 1] == t[lane]:
                            _show(values, sources, patient[lane], output[lane] - 1, lane, y, shown, p)
        # doses due now
        moved = False
        if needs_sizes:
            call(outputs, (y.ctypes.data, h.ctypes.data, shown.ctypes.data))
        for lane in range(width):
            i = patient[lane]
            if i < 0:
                continue
            while event[lane] < event_first[i + 1] and event_time[event[lane]] <= t[lane]:
                e = event[lane]
                target, amount = event_target[e], event_amount[e]
                table, source = event_table[e], event_place[e]
                if table == 0:
                    amount *= y[source, lane]
                elif table == 1:
                    amount *= shown[source, lane]
                elif table == 2:
                    amount *= p[source, lane]
                if target < n_states:
                    y[target, lane] = amount if event_set[e] else y[target, lane] + amount
                else:
                    k = target - n_states
                    p[k, lane] = amount if event_set[e] else p[k, lane] + amount
                    moved = True
                if amount != 0.0 or event_set[e]:
                    fresh[lane] = True
                    restart[lane] = hybrid is not None
                event[lane] += 1
        if moved:
            call(hoist, (p.ctypes.data, h.ctypes.data))
        if hybrid is not None:
            if restart.any():
                react(
                    at_change, switches, own, own_target, counts, p, h, y, signal, t, restart, held, queue, shows,
                    known, lost, bounded, longest,
                )  # fmt: skip
            for lane in range(width):
                if lost[lane]:
                    if patient[lane] >= 0:
                        status[patient[lane]], last_time[patient[lane]] = STEP_LIMIT, t[lane]
                        patient[lane], loaded[lane] = -1, False
                        running -= 1
                    lost[lane] = False
        for lane in range(width):
            i = patient[lane]
            if i < 0:
                continue
            if t[lane] >= end and output[lane] >= n_times:
                status[i], last_time[i] = OK, t[lane]
                for j in range(n_states):
                    final[i, j] = y[j, lane]
                    size[i, j] = max(reached[j, lane], abs(y[j, lane]))
                patient[lane], loaded[lane] = -1, False
                running -= 1
                continue
            stop[lane] = end
            if hybrid is not None:
                stop[lane] = min(end, known[lane])
            if event[lane] < event_first[i + 1] and event_time[event[lane]] < stop[lane]:
                stop[lane] = event_time[event[lane]]
        if running == 0:
            continue
        # first step sizes
        needed = False
        for lane in range(width):
            needed |= patient[lane] >= 0 and fresh[lane]
        if needed:
            call(rhs, (y.ctypes.data, h.ctypes.data, slope.ctypes.data))
            for lane in range(width):
                fastest = 0.0
                if patient[lane] >= 0 and fresh[lane]:
                    # a state that is driven from 0 cannot be told better than the time at which its input begins
                    vague = rtol * BRIEF * (end - times[0]) + TINY * abs(t[lane])
                    for j in range(n_states):
                        atol[j, lane] = max(rtol * floor[patient[lane], j], vague * abs(slope[j, lane]))
                for j in range(n_states):
                    fastest = max(fastest, _speed(slope, y, atol, growth, reached, rtol, j, lane))
                place[lane] = FIRST_CHANGE / max(fastest, FIRST_CHANGE / max(end - t[lane], TINY * unit))
                for j in range(n_states):
                    point[j, lane] = y[j, lane] + place[lane] * slope[j, lane]
            call(rhs, (point.ctypes.data, h.ctypes.data, bent.ctypes.data))
            for lane in range(width):
                if patient[lane] >= 0 and fresh[lane]:
                    # a state that is 0 until its input begins has no size yet, but moves straight for a while
                    fastest = 0.0
                    for j in range(n_states):
                        speed = _speed(slope, y, atol, growth, reached, rtol, j, lane)
                        if speed > fastest:
                            turn = abs(bent[j, lane] - slope[j, lane]) / (place[lane] * abs(slope[j, lane]))
                            fastest = max(fastest, turn if turn < speed else speed)
                    longer = max(place[lane], FIRST_SHARE * (stop[lane] - t[lane]))
                    step[lane] = min(longer, FIRST_CHANGE / fastest) if fastest > 0.0 else longer
                    step[lane] = max(step[lane], FIRST_TINY * TINY * max(EARLY * unit, abs(t[lane])))
                    before[lane] = 1.0
                    fresh[lane] = False
        for lane in range(width):
            if patient[lane] >= 0:
                left = stop[lane] - t[lane]
                if step[lane] > longest[lane]:
                    step[lane] = longest[lane]
                dt[lane] = step[lane]
                if step[lane] >= 0.99 * left:
                    dt[lane] = left
                elif step[lane] > 0.5 * left:
                    dt[lane] = 0.5 * left
            else:
                dt[lane] = 1.0
        if shared:
            shortest = np.inf
            for lane in range(width):
                if patient[lane] >= 0:
                    shortest = min(shortest, dt[lane])
            dt[:] = shortest
        call(
            advance,
            (
                y.ctypes.data,
                h.ctypes.data,
                dt.ctypes.data,
                atol.ctypes.data,
                tolerance.ctypes.data,
                growth.ctypes.data,
                work.ctypes.data,
                y1.ctypes.data,
                error.ctypes.data,
                reached.ctypes.data,
            ),
        )
        if shared:
            largest_error = 0.0
            for lane in range(width):
                if patient[lane] >= 0:
                    if not error[lane] <= largest_error:
                        largest_error = error[lane]
                    if error[lane] != error[lane]:
                        break
            error[:] = largest_error
        prepared = False
        if hybrid is not None:
            if needs_roots:
                some = False
                for lane in range(width):
                    taken[lane] = patient[lane] >= 0 and error[lane] <= 1.0
                    some |= taken[lane]
                reach[:] = 2.0
                if some:
                    call(prepare, (work.ctypes.data,))
                    prepared = True
                    locate(
                        inside, switches, n_parameters, y, y1, work, h, p, signal, point, place, t, dt, taken, clock,
                        reach, landing,
                    )  # fmt: skip
                if shared:
                    # all stop where the first does
                    nearest = reach.min()
                    if nearest <= 1.0:
                        place[:] = nearest
                        call(
                            dense,
                            (y.ctypes.data, y1.ctypes.data, work.ctypes.data, place.ctypes.data, landing.ctypes.data),
                        )
                        reach[:] = nearest
        # output times inside the accepted steps
        while True:
            due = False
            for lane in range(width):
                place[lane] = 1.0
                if patient[lane] >= 0 and error[lane] <= 1.0 and output[lane] < n_times:
                    if _is_due(times[output[lane]], t[lane], dt[lane], stop[lane], reach[lane]):
                        place[lane] = min(1.0, (times[output[lane]] - t[lane]) / dt[lane])
                        due = True
            if not due:
                break
            if not prepared:
                call(prepare, (work.ctypes.data,))
                prepared = True
            call(dense, (y.ctypes.data, y1.ctypes.data, work.ctypes.data, place.ctypes.data, point.ctypes.data))
            if clock >= 0:
                for lane in range(width):
                    point[clock, lane] = times[min(output[lane], n_times - 1)]
            if needs_variables:
                call(outputs, (point.ctypes.data, h.ctypes.data, shown.ctypes.data))
            for lane in range(width):
                if patient[lane] >= 0 and error[lane] <= 1.0 and output[lane] < n_times:
                    if _is_due(times[output[lane]], t[lane], dt[lane], stop[lane], reach[lane]):
                        _show(values, sources, patient[lane], output[lane], lane, point, shown, p)
                        output[lane] += 1
        # accept or reject
        for lane in range(width):
            i = patient[lane]
            if i < 0:
                continue
            steps[lane] += 1
            e = error[lane]
            if e == 0.0 and _stuck(rhs, y, y1, h, slope, dt[lane], atol, rtol, lane):
                e = np.inf
            if e <= 1.0:
                accepted += 1
                whole = reach[lane] > 1.0
                if whole:
                    hit = dt[lane] == stop[lane] - t[lane]
                    t[lane] = stop[lane] if hit else t[lane] + dt[lane]
                    for j in range(n_states):
                        y[j, lane] = y1[j, lane]
                if hybrid is not None:
                    short = not whole and dt[lane] * reach[lane] <= SAME * max(EARLY * unit, abs(t[lane]))
                    caught[lane] = caught[lane] + 1 if short else 0
                    if not whole:
                        t[lane] += dt[lane] * reach[lane]
                        for j in range(n_states):
                            y[j, lane] = landing[j, lane]
                    if not whole or t[lane] >= known[lane]:
                        restart[lane], fresh[lane] = True, True
                if clock >= 0:
                    y[clock, lane] = t[lane]
                e = max(e, 1e-10)
                # a PI controller, which does not overreact to one easy step
                factor = SAFETY * e ** (-0.7 / 5) * before[lane] ** (0.4 / 5)
                grown = dt[lane] * min(GROW, max(SHRINK, factor))
                # a step that was cut short for an event or the end says little about the size of the next
                step[lane] = max(step[lane], grown) if dt[lane] < step[lane] and factor >= 1.0 else grown
                before[lane] = e
                bad = -1
                for j in range(n_states):
                    if nonnegative[j] and y[j, lane] < -NEGATIVE_TOLERANCE:
                        bad = j
                        break
                if bad >= 0:
                    status[i], worst[i] = NEGATIVE, bad
                elif t[lane] >= end and output[lane] >= n_times and not restart[lane]:
                    status[i] = OK
            else:
                rejected += 1
                step[lane] = dt[lane] * (max(SHRINK, SAFETY * e ** (-1 / 5)) if e < 1e30 else SHRINK)
                fresh[lane] = False
            if status[i] == RUNNING and (
                steps[lane] >= max_steps
                or caught[lane] > MOST_CAUGHT
                or (not e <= 1.0 and step[lane] < TINY * max(EARLY * unit, abs(t[lane])))
                or step[lane] != step[lane]
            ):
                status[i] = STEP_LIMIT
                call(rhs, (y.ctypes.data, h.ctypes.data, slope.ctypes.data))
                largest = -1.0
                for j in range(n_states):
                    rate = _speed(slope, y, atol, growth, reached, rtol, j, lane)
                    if not np.isfinite(rate):
                        status[i], worst[i] = NON_FINITE, j
                        break
                    if rate > largest:
                        largest, worst[i] = rate, j
                if status[i] == STEP_LIMIT and e != e:
                    status[i] = NON_FINITE
            if status[i] != RUNNING:
                last_time[i] = t[lane]
                for j in range(n_states):
                    final[i, j] = y[j, lane]
                    size[i, j] = max(reached[j, lane], abs(y[j, lane]))
                    # an idle lane repeats a harmless state
                    y[j, lane] = 1.0
                patient[lane], loaded[lane] = -1, False
                running -= 1


@njit(nogil=True, inline="always")
def _show(values, sources, i, k, lane, y, shown, p):
    # no function for one value: passing arrays costs more than the copy
    for j in range(len(sources)):
        table, place = sources[j, 0], sources[j, 1]
        if table == 0:
            values[i, j, k] = y[place, lane]
        elif table == 1:
            values[i, j, k] = shown[place, lane]
        else:
            values[i, j, k] = p[place, lane]


@njit(nogil=True, inline="always")
def _speed(slope, y, atol, growth, reached, rtol, j, lane):
    """Rate of change of a state, relative to the scale on which it is judged."""
    allowed = max(rtol * abs(y[j, lane]), atol[j, lane], growth[lane] * reached[j, lane])
    return rtol * abs(slope[j, lane]) / allowed


@njit(nogil=True, inline="always")
def _is_due(time, t, dt, stop, reach):
    """Whether an output lies inside the part of a step that counts."""
    if reach <= 1.0:
        return time <= t + dt * reach
    return time <= t + dt or (dt == stop - t and time <= stop)


@njit(nogil=True, error_model="numpy")
def _stuck(rhs, y, y1, h, slope, dt, atol, rtol, lane):
    """Whether a state that should move did not: an error of exactly 0 may come from a Jacobian that is not finite."""
    call(rhs, (y.ctypes.data, h.ctypes.data, slope.ctypes.data))
    for j in range(len(y)):
        if y1[j, lane] == y[j, lane] and abs(slope[j, lane]) * dt > atol[j, lane] + rtol * abs(y[j, lane]):
            return True
    return False


@njit(nogil=True, inline="always")
def _fill(p, y, parameters, states, first, count):
    """Put some patients into the lanes; idle lanes repeat the last."""
    for lane in range(p.shape[1]):
        i = first + min(lane, count - 1)
        for k in range(parameters.shape[1]):
            p[k, lane] = parameters[i, k]
        for k in range(states.shape[1]):
            y[k, lane] = states[i, k]


@compiled(error_model="numpy")
def evaluate(kernel, parameters, states, sizes, with_variables, with_jacobian):
    """Rates, variables and entries of the Jacobian of many patients at given states, a row each."""
    width, n_hoisted, n_entries, n_variables = sizes.width, sizes.hoisted, sizes.entries, sizes.variables
    n_patients, n_states = states.shape
    n_parameters = parameters.shape[1] + sizes.switches
    rates = np.empty((n_patients, n_states))
    variables = np.empty((n_patients if with_variables else 0, n_variables))
    entries = np.empty((n_patients if with_jacobian else 0, n_entries))
    y, p, h = np.ones((n_states, width)), np.ones((n_parameters + 1, width)), np.ones((n_hoisted + 1, width))
    f, o, j = np.empty((n_states, width)), np.empty((n_variables + 1, width)), np.empty((n_entries + 1, width))
    for first in range(0, n_patients, width):
        count = min(width, n_patients - first)
        _fill(p, y, parameters, states, first, count)
        call(kernel.hoist, (p.ctypes.data, h.ctypes.data))
        if with_jacobian:
            call(kernel.jacobian, (y.ctypes.data, h.ctypes.data, f.ctypes.data, j.ctypes.data))
        else:
            call(kernel.rates, (y.ctypes.data, h.ctypes.data, f.ctypes.data))
        if with_variables:
            call(kernel.outputs, (y.ctypes.data, h.ctypes.data, o.ctypes.data))
        for lane in range(count):
            for k in range(n_states):
                rates[first + lane, k] = f[k, lane]
            if with_jacobian:
                for k in range(n_entries):
                    entries[first + lane, k] = j[k, lane]
            if with_variables:
                for k in range(n_variables):
                    variables[first + lane, k] = o[k, lane]
    return rates, variables, entries


@compiled(error_model="numpy")
def take_step(kernel, parameters, start, duration, sizes):
    """States after one step of given length from one start, whatever its error, shape (n_states,)."""
    width, n_hoisted, n_work = sizes.width, sizes.hoisted, sizes.work
    n_states, n_parameters = len(start), len(parameters)
    y, y1 = np.ones((n_states, width)), np.ones((n_states, width))
    p, h, work = np.ones((n_parameters + 1, width)), np.ones((n_hoisted + 1, width)), np.zeros((n_work, width))
    dt, error = np.full(width, duration), np.zeros(width)
    for k in range(n_states):
        y[k, :] = start[k]
    for k in range(n_parameters):
        p[k, :] = parameters[k]
    atol, rtol, growth = np.full((n_states, width), 1e-6), np.full(width, 1e-6), np.zeros(width)
    size = np.zeros((n_states, width))
    call(kernel.hoist, (p.ctypes.data, h.ctypes.data))
    call(
        kernel.step,
        (
            y.ctypes.data,
            h.ctypes.data,
            dt.ctypes.data,
            atol.ctypes.data,
            rtol.ctypes.data,
            growth.ctypes.data,
            work.ctypes.data,
            y1.ctypes.data,
            error.ctypes.data,
            size.ctypes.data,
        ),
    )
    return y1[:, 0].copy()
