"""All linear layers of a decoder with 8 billion parameters, one after the other on one stream."""

import statistics

from .arrays import float32_zeros, torch
from .checker import certified_bound, gap, judge

LAYERS = 32
# Matrices of a layer, as the public 8B model of the Llama 3 family has them: out features x in features, how many.
SHAPES = [(4096, 4096, 2), (1024, 4096, 2), (14336, 4096, 2), (4096, 14336, 1)]
PATTERN = (16, 32)
TIMED_PASSES = 7


def make_stacks():
    """Random bf16 weights on the device, matrices of one shape in one stack, `[matrices, rows, cols]`, and byte
    masks."""
    generator = torch.Generator("cuda").manual_seed(2505)
    kind = {"dtype": torch.bfloat16, "device": "cuda", "generator": generator}
    weights = [torch.randn(LAYERS * count, rows, cols, **kind) for rows, cols, count in SHAPES]
    return [(w, torch.full(w.shape, 255, dtype=torch.uint8, device="cuda")) for w in weights]


def solve_matrices(library, stacks):
    """A call for each matrix, as a pruner would make them."""
    for weights, masks in stacks:
        for w, mask in zip(weights, masks):
            library.find_mask(w, PATTERN, "optimal", "exactly", mask=mask)


def solve_stacks(library, stacks):
    """A call for each shape, as a batch."""
    for weights, masks in stacks:
        library.find_mask(weights, PATTERN, "optimal", "exactly", mask=masks)


def as_graph(work):
    """The same work as one CUDA graph."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def time_passes(work):
    """Milliseconds of each pass, the launches of a stream's first calls included; one pass before warms up."""
    passes = []
    for _ in range(1 + TIMED_PASSES):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        start.record()
        work()
        stop.record()
        stop.synchronize()
        passes.append(start.elapsed_time(stop))
    return passes[1:]


def certified_total(library, stacks):
    """What no masks of all matrices exceed together."""
    total = 0.0
    for weights, _ in stacks:
        for w in weights:
            prices = float32_zeros(w.numel() // PATTERN[1] * 2, w)
            library.find_mask(w, PATTERN, "optimal", "exactly", prices=prices)
            total += certified_bound(w, prices, *PATTERN, "exactly")
    return total


def judge_stacks(stacks, bound):
    verdicts = [judge(w, mask, *PATTERN, "exactly") for ws, masks in stacks for w, mask in zip(ws, masks)]
    value = sum(v.value for v in verdicts)
    violations = sum(v.violations for v in verdicts)
    return {"violations": violations, "value": value, "bound": bound, "gap": gap(value, bound)}


def run_way(stacks, bound, way, work):
    """A row: how long one way to call the library takes, and what its masks are."""
    row = {
        "experiment": "scale",
        "method": way,
        "pattern": "{}:{}".format(*PATTERN),
        "weights": "gaussian",
        "dtype": "bfloat16",
        "matrices": sum(len(w) for w, _ in stacks),
        "parameters": sum(w.numel() for w, _ in stacks),
    }
    try:
        for _, masks in stacks:
            masks.fill_(255)
        taken = time_passes(work())
        row |= {"milliseconds": statistics.median(taken), "fastest": min(taken), "slowest": max(taken)}
        row |= {"timed_calls": len(taken), **judge_stacks(stacks, bound)}
    except Exception as error:  # pylint: disable=broad-except
        row["failed"] = f"{type(error).__name__}: {error}".splitlines()[0][:160]
    return row


def scale(bench):
    if bench.device != "cuda":
        skipped = {"method": "linear layers of a decoder", "skipped": "runs only on a GPU"}
        bench.record.add({"experiment": "scale", **skipped})
        return
    torch.cuda.empty_cache()
    stacks, library = make_stacks(), bench.library
    bound = certified_total(library, stacks)
    by_matrix, by_shape = lambda: solve_matrices(library, stacks), lambda: solve_stacks(library, stacks)
    ways = {
        "stream": lambda: by_matrix,
        "graph": lambda: as_graph(by_matrix),
        "batches": lambda: by_shape,
        "graph_of_batches": lambda: as_graph(by_shape),
    }
    for way, work in ways.items():
        bench.record.add(run_way(stacks, bound, way, work))
