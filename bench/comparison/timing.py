"""How long a call takes: device events on a GPU; on a CPU processor time for one thread, which other programs hardly
change, and the wall clock for several, which needs an idle machine."""

import itertools
import statistics
import time
from dataclasses import dataclass

from .arrays import bytes_like, on_gpu, torch

FEWEST, MOST = 3, 31  # timed calls
BUDGET_SECONDS = 0.5  # of timed calls, beyond the fewest
BUSY_CYCLES = 2_000_000  # about a millisecond


@dataclass(frozen=True)
class Timing:
    seconds: list  # of each timed call
    result: object  # of a call on the first set

    def summary(self):
        milliseconds = [1e3 * s for s in self.seconds]
        return {
            "milliseconds": statistics.median(milliseconds),
            "fastest": min(milliseconds),
            "slowest": max(milliseconds),
            "timed_calls": len(milliseconds),
        }


def seconds_on_gpu(call, weights):
    """Device time of one call. The device is busy when the call is enqueued, so the first millisecond of what the host
    does for it, the launch of a single kernel above all, is not in the time."""
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    torch.cuda._sleep(BUSY_CYCLES)
    start.record()
    result = call(weights)
    stop.record()
    stop.synchronize()
    return start.elapsed_time(stop) / 1e3, result


def seconds_by(clock):
    """A measurement of one call on the CPU."""

    def measure(call, weights):
        start = clock()
        result = call(weights)
        return clock() - start, result

    return measure


def measurement(weights, threads):
    """Takes a call and weights, and gives seconds and the result."""
    if on_gpu(weights):
        return seconds_on_gpu
    return seconds_by(time.process_time if threads == 1 else time.perf_counter)


def set_threads(threads):
    """For PyTorch's operations on the CPU; 0: all that it chose at first."""
    if torch is not None:
        torch.set_num_threads(threads or set_threads.all)


set_threads.all = torch.get_num_threads() if torch is not None else 1


def time_calls(call, sets, threads=1, budget=BUDGET_SECONDS):
    """Times `call` on the sets in turn: at least FEWEST calls, at most MOST, in between as many as fit the budget in
    seconds. Calls to warm up come before: one, or two where one fits the budget."""
    measure = measurement(sets[0], threads)
    turns = itertools.cycle(sets)
    expected, result = measure(call, next(turns))
    if expected < budget:
        expected, _ = measure(call, next(turns))
    repeats = int(min(MOST, max(FEWEST, budget / max(expected, 1e-6))))
    return Timing([measure(call, next(turns))[0] for _ in range(repeats)], result)


class Ring:
    """Output buffers of timed calls, one for each set of weights; calls take them in the order in which they take the
    sets."""

    def __init__(self, buffers):
        self.buffers, self.calls = buffers, 0

    def next(self):
        self.calls += 1
        return self.buffers[(self.calls - 1) % len(self.buffers)]


def masks_for(sets):
    """Byte masks that hold what no mask may."""
    return Ring([bytes_like(w, 255) for w in sets])


def pruned_for(sets):
    """Pruned weights that hold what none may be."""
    return Ring([w * float("nan") for w in sets])
