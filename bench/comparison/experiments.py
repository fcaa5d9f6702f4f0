"""What is run, and the rows that it gives. Each experiment takes a Bench and adds to its record."""

from dataclasses import dataclass

from . import data, methods
from .arrays import float32_zeros, from_numpy, torch
from .checker import certified_bound, gap, judge
from .library import Skipped
from .methods import Problem
from .record import Record, usable_cores
from .timing import set_threads, time_calls

SPEED_PATTERNS = [(2, 4), (4, 8), (8, 16), (16, 32), (8, 32), (32, 64)]
ERROR_PATTERNS = [
    (1, 4), (2, 4), (3, 4), (2, 8), (4, 8), (6, 8), (4, 16), (8, 16), (12, 16), (8, 32), (16, 32), (24, 32)
]
ERROR_METHODS = [
    methods.OPTIMAL,
    methods.PUBLISHED,
    methods.PUBLISHED_ARRAYS,
    methods.GREEDY,
    methods.TWO_APPROXIMATION,
    methods.ROW_THEN_COLUMN,
    methods.RANDOM,
]
SCALING_PATTERN = (16, 32)


@dataclass(frozen=True)
class Bench:
    """The run: where, with what, how large."""

    device: str  # "cpu" or "cuda"
    library: object
    record: Record
    patterns: list  # of the experiments on speed
    size: int  # side of the matrices whose calls are timed
    quality_size: int  # side of those whose masks alone matter
    use_torch: bool  # for array operations
    own_matrices: dict  # name -> .npy file

    def matrix(self, name, size):
        """The weights called `name`, where they are computed with; Skipped if they are not there."""
        made = data.own(self.own_matrices[name]) if name in self.own_matrices else data.SOURCES[name](size)
        return from_numpy(made, self.device, self.use_torch)

    def matrices(self):
        """Every kind of weights that there is, by name, in the size for quality."""
        for name in [*data.SOURCES, *(k for k in self.own_matrices if k not in data.SOURCES)]:
            try:
                yield name, self.matrix(name, self.quality_size)
            except Skipped as reason:
                self.record.add({"experiment": "weights", "weights": name, "skipped": str(reason)})

    def sets(self, size, nm):
        """Gaussian matrices to time calls on."""
        if self.device == "cpu":
            return [self.matrix("gaussian", size)]
        return data.sets_on_gpu(size, torch.float16 if nm == (2, 4) else torch.float32)


def bounds_of(bench, weights, nm):
    """What no mask exceeds, under each constraint, from the optimal method's prices and recomputed here; empty where
    that fails, which the optimal method's own rows will tell."""
    bounds = {}
    for constraint in ("exactly", "at_most"):
        prices = float32_zeros((weights.shape[0] // nm[1]) * (weights.shape[1] // nm[1]) * 2 * nm[1], weights)
        try:
            bench.library.find_mask(weights, nm, "optimal", constraint, prices=prices)
            bounds[constraint] = certified_bound(weights, prices, *nm, constraint)
        except Exception:  # pylint: disable=broad-except
            return {}
    return bounds


def fill_row(row, method, problem, bounds, timed):
    """Runs `method` and notes in `row` what it took and what its mask is, or why there is none: a method that fails, in
    whatever way, must not end the run."""
    try:
        call = method.prepare(problem)
        if timed:
            timing = time_calls(call, problem.sets, problem.threads)
            result = timing.result
            row |= timing.summary()
        else:
            result = call(problem.weights)
        verdict = judge(problem.weights, method.mask_of(result), problem.n, problem.m, method.constraint)
        row |= {"violations": verdict.violations, "value": verdict.value}
        if method.constraint in bounds:
            row |= {"bound": bounds[method.constraint], "gap": gap(verdict.value, bounds[method.constraint])}
    except Skipped as reason:
        row["skipped"] = str(reason)
    except Exception as error:  # pylint: disable=broad-except
        row["failed"] = f"{type(error).__name__}: {error}".splitlines()[0][:160]
    return row


def row_of(experiment, method, problem, weights_name, **more):
    dtype = str(problem.weights.dtype).removeprefix("torch.")
    return {
        "experiment": experiment,
        "method": method.name,
        "ours": method.ours,
        "constraint": method.constraint,
        "output": method.output,
        "pattern": f"{problem.n}:{problem.m}",
        "weights": weights_name,
        "dtype": dtype,
        "size": "x".join(str(x) for x in problem.weights.shape),
        **more,
    }


def time_methods(bench, experiment, chosen, nm, size, threads):
    """A timed row for each method."""
    sets = bench.sets(size, nm)
    set_threads(threads)
    bounds = bounds_of(bench, sets[0], nm)
    more = {} if bench.device == "cuda" else {"threads": threads or usable_cores()}
    for method in chosen:
        problem = Problem(*nm, sets, bench.library, threads)
        row = row_of(experiment, method, problem, "gaussian", **more)
        bench.record.add(fill_row(row, method, problem, bounds, timed=True))
        if bench.device == "cuda":
            torch.cuda.empty_cache()


def thread_counts(bench):
    """On a CPU one thread, then all of them."""
    return [1, 0] if bench.device == "cpu" and usable_cores() > 1 else [1]


def speed(bench):
    """Time and quality of every method at every pattern."""
    for threads in thread_counts(bench):
        chosen = [x for x in methods.ALL if threads == 1 or x is not methods.LEMON]  # which has one thread alone
        for nm in bench.patterns:
            time_methods(bench, "speed", chosen, nm, bench.size, threads)


def scaling(bench):
    """Time by size, up to the size of `speed`, whose rows are the last point."""
    peers = (methods.LEMON, methods.TORCH_TILE, methods.CUSPARSELT, methods.SEARCH)
    left_out = (methods.PUBLISHED_COMPILED, methods.OPTIMAL_PRUNED, *peers)
    chosen = [x for x in methods.ALL if x not in left_out]
    size = 512 if bench.device == "cuda" else 256
    while size < bench.size:
        time_methods(bench, "scaling", chosen, SCALING_PATTERN, size, thread_counts(bench)[-1])
        size *= 2


def errors(bench):
    """Quality by pattern, weights and method."""
    for name, weights in bench.matrices():
        for nm in ERROR_PATTERNS:
            bounds = bounds_of(bench, weights, nm)
            for method in ERROR_METHODS:
                problem = Problem(*nm, [weights], bench.library)
                row = row_of("errors", method, problem, name)
                bench.record.add(fill_row(row, method, problem, bounds, timed=False))


def ablation(bench):
    """What each part of the paper's algorithm contributes, and what the optimum has beyond it."""
    for name, weights in bench.matrices():
        for nm in [(4, 8), (8, 16), (16, 32)]:
            bounds = bounds_of(bench, weights, nm)
            for method in [*methods.ablations(), methods.OPTIMAL]:
                problem = Problem(*nm, [weights], bench.library)
                row = row_of("ablation", method, problem, name)
                bench.record.add(fill_row(row, method, problem, bounds, timed=False))


def parameter_grid():
    """tau over four orders of magnitude for several T; then L."""
    for iterations in (100, 300, 1000, 3000):
        for tau in (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0):
            yield {"iterations": iterations, "tau": tau, "local_search_steps": 10}
    for steps in (0, 1, 2, 3, 5, 20, 50, 100):  # 10 is above
        yield {"iterations": 300, "tau": 0.005, "local_search_steps": steps}


def sensitivity(bench):
    """The published method, by this library, over its parameters."""
    for name, weights in bench.matrices():
        for nm in [(8, 16), (16, 32)]:
            bounds = bounds_of(bench, weights, nm)
            for parameters in parameter_grid():
                method = methods.library_method("tsenor_published", "published", "at_most", **parameters)
                problem = Problem(*nm, [weights], bench.library)
                row = row_of("sensitivity", method, problem, name, **parameters)
                bench.record.add(fill_row(row, method, problem, bounds, timed=False))
