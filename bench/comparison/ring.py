"""Output buffers of calls that are timed."""

from .arrays import bytes_like


class Ring:
    """One buffer for each set of weights; calls take them in the order in which they take the sets."""

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
