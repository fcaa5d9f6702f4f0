"""What the stages left, and comparisons of it with intervals."""

import json
import math

import evaluate
from stages import read_lines

METHODS = ["magnitude", "wanda", "sparsegpt", "alps"]
STRUCTURES = ["row-wise", "transposable", "published", "row-then-column"]


def m_of(pattern):
    return int(pattern.split(":")[1])


def density_of(pattern):
    n, m = map(int, pattern.split(":"))
    return n / m


class Results:
    def __init__(self, work):
        self.dense = json.loads((work / "dense.json").read_text())
        self.train = json.loads((work / "train.json").read_text())
        self.grid = {(r["method"], r["pattern"], r["structure"]): r for r in read_lines(work / "grid.jsonl")}
        self.retrained = read_lines(work / "retrain.jsonl")
        self.patterns = sorted({k[1] for k in self.grid}, key=lambda p: (-density_of(p), m_of(p)))
        self.methods = [m for m in METHODS if any(k[0] == m for k in self.grid)]
        self.structures = [x for x in STRUCTURES if any(k[2] == x for k in self.grid)]

    def run(self, method, pattern, structure):
        return self.grid.get((method, pattern, structure))

    def families(self):
        """{density: its patterns with M growing}."""
        densities = sorted({density_of(p) for p in self.patterns}, reverse=True)
        return {d: [p for p in self.patterns if density_of(p) == d] for d in densities}

    def perplexities(self, a, b):
        """Perplexity of a / of b, runs of the same documents; nothing where one is missing."""
        if a is None or b is None:
            return None
        return quotient([x - y for x, y in zip(a["losses"], b["losses"])], self.dense["bytes"])


def log_errors(run):
    """Of each layer; nothing where the run or an error is missing."""
    errors = list(run["layers"].values()) if run else [None]
    return None if any(e is None or e <= 0 for e in errors) else [math.log(e) for e in errors]


def errors(above, below):
    """Errors of the runs `above`, multiplied layer by layer, / those of `below`; nothing where one is missing."""
    tops, bottoms = [log_errors(x) for x in above], [log_errors(x) for x in below]
    if None in tops + bottoms:
        return None
    differences = [sum(x) - sum(y) for x, y in zip(zip(*tops), zip(*bottoms))]
    return quotient(differences, [1] * len(differences))


def quotient(differences, sizes):
    """(value, low, high) of a quotient: its logarithm is sum(differences) / sum(sizes), with 95 % from resampling the two."""
    low, high = evaluate.interval(evaluate.resampled(differences, sizes))
    return tuple(math.exp(x) for x in (sum(differences) / sum(sizes), low, high))


def verdict(q):
    """Whether a quotient is below 1: 'yes', 'no', or 'open' where its interval holds 1."""
    return "yes" if q[2] < 1 else "no" if q[1] > 1 else "open"
