"""Every way to find a mask that is compared: what it is called, what it promises, how it is run.

A method is prepared for a problem once and then called with weights; that call is what is timed.
"""

from dataclasses import dataclass, field

from . import peers
from .arrays import matrix_of, tiles_of, to_bytes, to_float
from .library import Skipped
from .published import (
    Parameters,
    entropic_plan,
    published_mask,
    round_greedily,
    round_simply,
    search_locally,
)
from .simple_peers import (
    all_masks,
    candidate_search,
    greedy,
    random_masks,
    row_then_column,
    two_approximation,
)
from .timing import masks_for, pruned_for


@dataclass(frozen=True)
class Problem:
    """What a method is prepared for."""

    n: int
    m: int
    sets: list  # matrices `[rows, cols]` that calls take in turn, more than the cache holds
    library: object
    threads: int = 0  # on the CPU; 0: all

    @property
    def weights(self):
        return self.sets[0]

    @property
    def on_gpu(self):
        return getattr(self.weights, "is_cuda", False)


@dataclass(frozen=True)
class Method:
    name: str  # in the record
    constraint: str  # "exactly" or "at_most", which its masks are checked for
    prepare: object  # Problem -> (weights -> result), or raises Skipped
    output: str = "mask"  # what a result is: "mask", "pruned" weights, or a form of its own with to_dense()
    ours: bool = field(default=False)

    def mask_of(self, result):
        """The mask that a result stands for."""
        if self.output == "mask":
            return result
        return to_bytes((result if self.output == "pruned" else result.to_dense()) != 0)


def library_method(name, method, constraint, output="mask", **parameters):
    """find_mask, to a byte mask or to pruned weights."""

    def prepare(problem):
        ring = (pruned_for if output == "pruned" else masks_for)(problem.sets)

        def call(weights):
            out = ring.next()
            problem.library.find_mask(
                weights, (problem.n, problem.m), method, constraint, threads=problem.threads, **{output: out},
                **parameters
            )
            return out

        return call

    return Method(name, constraint, prepare, output, ours=True)


def array_method(name, constraint, solve):
    """`solve(importance tiles, n)` in array operations."""

    def prepare(problem):
        def call(weights):
            tiles = abs(to_float(tiles_of(weights, problem.m)))
            return to_bytes(matrix_of(solve(tiles, problem.n), *weights.shape))

        return call

    return Method(name, constraint, prepare)


def candidates_method(name, candidates_of, only_m=None):
    def prepare(problem):
        if only_m not in (None, problem.m):
            raise Skipped(f"only for M = {only_m}")
        return array_method(name, "exactly", candidate_search(candidates_of(problem.n, problem.m))).prepare(problem)

    return Method(name, "exactly", prepare)


def published_method(name="published_arrays", **parameters):
    """The paper's algorithm in array operations."""
    chosen = Parameters(**parameters)
    return array_method(name, "at_most", lambda tiles, n: published_mask(tiles, n, chosen))


def ablations():
    """The paper's algorithm, part by part: with and without the entropic plan, by simple and by greedy rounding, with
    and without the local search."""
    steps = Parameters().local_search_steps

    def rounded(plan_of, rounding, local_search):
        def solve(tiles, n):
            mask = rounding(plan_of(tiles, n), n)
            return search_locally(tiles, mask, n, steps) if local_search else mask

        return solve

    def weights_alone(tiles, n):
        return tiles

    def entropic(tiles, n):
        return entropic_plan(tiles, n, Parameters())

    parts = {
        "simple": (weights_alone, round_simply, False),
        "greedy": (weights_alone, round_greedily, False),
        "greedy+search": (weights_alone, round_greedily, True),
        "entropy+simple": (entropic, round_simply, False),
        "entropy+greedy": (entropic, round_greedily, False),
        "entropy+greedy+search": (entropic, round_greedily, True),
    }
    return [array_method(name, "at_most", rounded(*part)) for name, part in parts.items()]


OPTIMAL = library_method("tsenor_optimal", "optimal", "exactly")
OPTIMAL_AT_MOST = library_method("tsenor_optimal_at_most", "optimal", "at_most")
OPTIMAL_PRUNED = library_method("tsenor_optimal_pruned", "optimal", "exactly", output="pruned")
PUBLISHED = library_method("tsenor_published", "published", "at_most")
PUBLISHED_ARRAYS = published_method()
PUBLISHED_COMPILED = Method("published_compiled", "at_most", peers.prepare_compiled)
LEMON = Method("lemon", "exactly", peers.prepare_lemon)
TORCH_TILE = Method("torch_tile_prune", "at_most", peers.prepare_torch_tile, output="compressed")
CUSPARSELT = Method("cusparselt_tile", "at_most", peers.prepare_cusparselt, output="pruned")
SEARCH = candidates_method("pattern_search", all_masks, only_m=4)
RANDOM = candidates_method("random_best_of_1000", random_masks)
GREEDY = array_method("greedy", "at_most", greedy)
TWO_APPROXIMATION = array_method("two_approximation", "at_most", two_approximation)
ROW_THEN_COLUMN = array_method("row_then_column", "at_most", row_then_column)

OURS = [OPTIMAL, OPTIMAL_AT_MOST, OPTIMAL_PRUNED, PUBLISHED]
PEERS = [
    PUBLISHED_ARRAYS,
    PUBLISHED_COMPILED,
    TORCH_TILE,
    CUSPARSELT,
    SEARCH,
    LEMON,
    GREEDY,
    TWO_APPROXIMATION,
    ROW_THEN_COLUMN,
    RANDOM,
]
ALL = OURS + PEERS
