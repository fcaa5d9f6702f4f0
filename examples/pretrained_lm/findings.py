"""What the stages left, and comparisons of it with intervals."""

import json
import math
import re

import evaluate
from stages import geometric_mean, read_lines

METHODS = ["magnitude", "wanda", "sparsegpt", "alps"]
STRUCTURES = ["row-wise", "transposable", "published", "row-then-column"]

# What the authors of arXiv 2505.23949 publish for a matrix of 8192 x 8192 at 8:16, in seconds.
AUTHORS_SECONDS = [
    ("their method, on their H100", 0.12),
    ("2-approximation (greedy)", 3.2),
    ("network flow (optimal)", 350.0),
]


def m_of(pattern):
    return int(pattern.split(":")[1])


def density_of(pattern):
    n, m = map(int, pattern.split(":"))
    return n / m


class Results:
    def __init__(self, work):
        self.dense = json.loads((work / "dense.json").read_text())
        self.grid = {(r["method"], r["pattern"], r["structure"]): r for r in read_lines(work / "grid.jsonl")}
        self.tuned = {tuple(r["configuration"]): r for r in read_lines(work / "tune.jsonl")}
        speed = work / "speed.json"
        self.speed = json.loads(speed.read_text()) if speed.exists() else {}
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
        """(quotient, low, high) of the perplexities of two runs on the same articles; None where one is missing."""
        if a is None or b is None:
            return None
        return quotient([x - y for x, y in zip(a["losses"], b["losses"])], self.dense["tokens"])


def errors(above, below):
    """(quotient, low, high) of two runs' errors, layer by layer; None where one is missing."""
    if above is None or below is None:
        return None
    pairs = [(above["layers"][name], below["layers"][name]) for name in above["layers"]]
    if any(not x or not y for x, y in pairs):
        return None
    return quotient([math.log(x) - math.log(y) for x, y in pairs], [1] * len(pairs))


def quotient(differences, sizes):
    """Its logarithm is sum(differences) / sum(sizes), with 95 % from resampling the two."""
    low, high = evaluate.interval(evaluate.resampled(differences, sizes))
    return tuple(math.exp(x) for x in (sum(differences) / sum(sizes), low, high))


def verdict(q):
    """Whether a quotient is below 1: 'yes', 'no', or 'open' where its interval holds 1."""
    return "open" if q is None or q[1] <= 1 <= q[2] else "yes" if q[2] < 1 else "no"


def by_kind(run, other=None):
    """{kind of layer: geometric mean over blocks of the error, relative to `other`'s if there is one}."""
    kinds = {}
    for name, error in run["layers"].items():
        kind = re.sub(r"^.*\.\d+\.|\.weight$", "", name)
        kinds.setdefault(kind, []).append(error / (other["layers"][name] if other else 1))
    return {kind: geometric_mean(values) for kind, values in kinds.items() if all(v > 0 for v in values)}
