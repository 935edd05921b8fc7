"""What happens where a course is not smooth: switches that change, events of the model that fire, roots inside a step.

Compiled by Numba, called by the driver for models that have any of these. Every function works on all lanes of a
vector, each at its own time.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from crosstalk.engine.jit import call

__all__ = ["locate", "make_queue", "react"]

# kinds of `switches.Switch`
GREATER, FLOOR, EQUAL, STILL = 0, 1, 2, 3
SAME = 1e-12  # times this near to each other, relative or absolute, are one
SAMPLES = 4  # places in a step at which the sign of each root function is looked at
HALVINGS = 60
DUE = 256  # events of one patient that can wait for the end of their delays
TOO_MANY = 5000  # changes at one time that only a loop can make


@njit(nogil=True)
def make_queue(n_own, n_assigned, width):
    """Events that are triggered and not carried out yet: event, time, order, whether shown at that time, values.

    The last array counts the events of each lane so far, -1 before anything was looked at.
    """
    depth = DUE if n_own > 0 else 0
    return (
        np.full((depth, width), -1),
        np.zeros((depth, width)),
        np.zeros((depth, width), np.int64),
        np.zeros((depth, width), np.bool_),
        np.zeros((depth, n_assigned, width)),
        np.zeros(width, np.int64),
    )


@njit(nogil=True, inline="always")
def _chance(count, choice):
    """A number in [0, 1) that only depends on what the patient went through (splitmix64)."""
    x = np.uint64(count) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(choice)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return float(x >> np.uint64(11)) / 9007199254740992.0


@njit(nogil=True, error_model="numpy")
def _mode(switches, k, lane, signal, t, quiet):
    """What a switch holds from now on: the limit from the right."""
    n = len(switches)
    kind, closed, known = switches[k, 0], switches[k, 1] != 0, switches[k, 2] != 0
    value, slope = signal[k, lane], signal[2 * n + k, lane]
    now = False
    if known and slope != 0.0:
        now = abs(t - signal[n + k, lane]) <= SAME * max(1.0, abs(t))
    if kind == FLOOR:
        if known and slope != 0.0:
            whole = np.round(value)
            if abs(value - whole) <= SAME * max(abs(slope) * max(1.0, abs(t)), abs(value)):
                return whole if slope > 0.0 else whole - 1.0
        return np.floor(value)
    if kind == STILL or (kind == EQUAL and slope == 0.0):
        return 1.0 if value == 0.0 else 0.0
    if kind == EQUAL:
        return 1.0 if now and not quiet else 0.0
    if now:
        return 1.0 if slope > 0.0 else 0.0
    return 1.0 if value > 0.0 or (value == 0.0 and closed) else 0.0


@njit(nogil=True, error_model="numpy")
def react(
    kernel,
    switches,
    own,
    own_target,
    counts,
    p,
    h,
    y,
    signal,
    t,
    restart,
    held,
    queue,
    shows,
    due,
    lost,
    bounded,
    longest,
):
    """Bring switches and events of some lanes up to date at their times.

    Parameters
    ----------
    kernel : addresses of hoist and signals
    switches, own, own_target : see `driver.integrate`
    counts : n_states, n_parameters
    restart : (width,) bool
        Lanes concerned; cleared.
    held : (n_own, width) bool
        Whether each event's trigger held before.
    shows : (width,) bool, filled
        Lanes in which an event changed what an output at this very time shows.
    due : (width,), filled
        Next time at which a switch is known to change or an event to be carried out.
    lost : (width,) bool, filled
        Lanes in which changes never end.
    longest : (width,), lowered
        Longest step, by the kernel's last signal if ``bounded``.
    """
    n_states, n_parameters = counts[0], counts[1]
    n_switches, n_own, width = len(switches), len(own), len(t)
    first_trigger = 3 * n_switches
    first_value = first_trigger + 4 * n_own
    waiting, when, order, shown, values, fired = queue
    quiet = np.zeros(width, np.bool_)
    todo = restart.copy()
    rounds, settling = 0, 0
    for lane in range(width):
        shows[lane] = False
    while True:
        rounds += 1
        call(kernel[0], (p.ctypes.data, h.ctypes.data))
        call(kernel[1], (y.ctypes.data, h.ctypes.data, signal.ctypes.data))
        changed = False
        for lane in range(width):
            if todo[lane]:
                for k in range(n_switches):
                    mode = _mode(switches, k, lane, signal, t[lane], quiet[lane])
                    if mode != p[n_parameters + k, lane]:
                        p[n_parameters + k, lane] = mode
                        changed = True
        # a switch may depend on others; one round for each is enough
        settling += 1
        if changed and settling <= n_switches + 1:
            continue
        settling = 0
        more = False
        for lane in range(width):
            if not todo[lane]:
                continue
            if fired[lane] < 0:
                # at the very start a trigger may not hold that holds from there on, such as time > 0
                for e in range(n_own):
                    held[e, lane] &= signal[first_trigger + n_own + e, lane] != 0.0
                fired[lane] = 0
            for e in range(n_own):
                now = signal[first_trigger + e, lane] != 0.0
                if now and not held[e, lane]:
                    place = -1
                    for q in range(len(waiting)):
                        if waiting[q, lane] < 0:
                            place = q
                            break
                    if place < 0:
                        lost[lane] = True
                        break
                    fired[lane] += 1
                    waiting[place, lane], order[place, lane] = e, fired[lane]
                    delay = signal[first_trigger + 3 * n_own + e, lane]
                    when[place, lane] = t[lane] + (delay if delay > 0.0 else 0.0)
                    shown[place, lane] = signal[first_trigger + n_own + e, lane] != 0.0
                    for a in range(own[e, 3], own[e, 3] + own[e, 4]):
                        values[place, a, lane] = signal[first_value + a, lane]
                elif held[e, lane] and not now and own[e, 0] == 0:
                    for q in range(len(waiting)):
                        if waiting[q, lane] == e:
                            waiting[q, lane] = -1
                held[e, lane] = now
            best, equals = -1, 1
            for q in range(len(waiting)):
                if waiting[q, lane] >= 0 and when[q, lane] <= t[lane]:
                    if best < 0:
                        best = q
                        continue
                    this = signal[first_trigger + 2 * n_own + waiting[q, lane], lane]
                    other = signal[first_trigger + 2 * n_own + waiting[best, lane], lane]
                    if this > other:
                        best, equals = q, 1
                    elif this == other and this == -np.inf:
                        if order[q, lane] < order[best, lane]:
                            best = q
                    elif this == other:
                        # SBML asks for chance between equal priorities
                        equals += 1
                        if _chance(fired[lane], equals) < 1.0 / equals:
                            best = q
            if best >= 0:
                e = waiting[best, lane]
                for a in range(own[e, 3], own[e, 3] + own[e, 4]):
                    value = values[best, a, lane] if own[e, 2] != 0 else signal[first_value + a, lane]
                    target = own_target[a]
                    if target < n_states:
                        y[target, lane] = value
                    else:
                        p[target - n_states, lane] = value
                shows[lane] |= shown[best, lane]
                fired[lane] += 1
                waiting[best, lane] = -1
                more = True
            else:
                pulse = False
                for k in range(n_switches):
                    pulse |= switches[k, 0] == EQUAL and p[n_parameters + k, lane] != 0.0
                if pulse and not quiet[lane]:
                    # an equality is over as soon as it was seen
                    quiet[lane], more = True, True
                else:
                    todo[lane] = False
        if not more:
            break
        if rounds > TOO_MANY:
            for lane in range(width):
                lost[lane] |= todo[lane]
            break
    for lane in range(width):
        if restart[lane]:
            if bounded:
                longest[lane] = signal[len(signal) - 2, lane]
            due[lane] = np.inf
            for k in range(n_switches):
                following = signal[n_switches + k, lane]
                if switches[k, 2] != 0 and following > t[lane] + SAME * max(1.0, abs(t[lane])):
                    due[lane] = min(due[lane], following)
            for q in range(len(waiting)):
                if waiting[q, lane] >= 0:
                    due[lane] = min(due[lane], when[q, lane])
            restart[lane] = False


@njit(nogil=True, error_model="numpy")
def _differs(switches, n_parameters, p, signal, lane):
    """Whether a switch without a known time is not what is held."""
    for k in range(len(switches)):
        if switches[k, 2] != 0 or switches[k, 0] > FLOOR:
            continue
        value, mode = signal[k, lane], p[n_parameters + k, lane]
        if switches[k, 0] == FLOOR:
            if np.floor(value) != mode and value == value:
                return True
        elif (value > 0.0 and mode == 0.0) or (value < 0.0 and mode != 0.0):
            return True
    return False


@njit(nogil=True, error_model="numpy")
def locate(
    kernel, switches, n_parameters, y, y1, work, h, p, signal, point, place, t, dt, taken, clock, reach, landing
):
    """Find the first change of a switch inside the steps just taken.

    ``reach`` becomes the share of the step up to just behind the change and ``landing`` the state there; 2 where
    nothing changes. ``kernel`` holds the addresses of dense and signals; ``taken`` says which lanes took their step.
    """
    width, n_states = len(t), len(y)
    low, wide = np.zeros(width), np.zeros(width, np.bool_)
    reach[:] = 2.0
    found = False
    for sample in range(1, SAMPLES + 1):
        place[:] = sample / SAMPLES
        _look(kernel, y, y1, work, h, signal, point, place, t, dt, clock)
        for lane in range(width):
            if taken[lane] and reach[lane] > 1.0:
                if _differs(switches, n_parameters, p, signal, lane):
                    reach[lane], found = place[lane], True
                else:
                    low[lane] = place[lane]
    if not found:
        return False
    for _ in range(HALVINGS):
        busy = False
        for lane in range(width):
            place[lane] = 1.0
            # a lane stops by itself: what others still need must not change it
            gap = (reach[lane] - low[lane]) * dt[lane]
            wide[lane] = reach[lane] <= 1.0 and gap > 1e-15 * max(abs(t[lane]), dt[lane])
            if wide[lane]:
                place[lane] = 0.5 * (low[lane] + reach[lane])
                busy = True
        if not busy:
            break
        _look(kernel, y, y1, work, h, signal, point, place, t, dt, clock)
        for lane in range(width):
            if wide[lane]:
                if _differs(switches, n_parameters, p, signal, lane):
                    reach[lane] = place[lane]
                else:
                    low[lane] = place[lane]
    for lane in range(width):
        place[lane] = min(reach[lane], 1.0)
    _look(kernel, y, y1, work, h, signal, point, place, t, dt, clock)
    for lane in range(width):
        if reach[lane] <= 1.0:
            for j in range(n_states):
                landing[j, lane] = point[j, lane]
    return True


@njit(nogil=True, inline="always")
def _look(kernel, y, y1, work, h, signal, point, place, t, dt, clock):
    """Signals at places inside the steps."""
    call(kernel[0], (y.ctypes.data, y1.ctypes.data, work.ctypes.data, place.ctypes.data, point.ctypes.data))
    if clock >= 0:
        for lane in range(len(t)):
            point[clock, lane] = t[lane] + place[lane] * dt[lane]
    call(kernel[1], (point.ctypes.data, h.ctypes.data, signal.ctypes.data))
