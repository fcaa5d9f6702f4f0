"""The peers that are called through packages of their own: torch.compile, PyTorch's tile pruner, cuSPARSELt, LEMON."""

import ctypes

from .arrays import is_tensor, matrix_of, tiles_of, to_bytes, to_float, torch
from .library import Skipped, require
from .published import Parameters, dykstra_step, greedy_step, published_mask
from .timing import masks_for, pruned_for

TORCH_TILE_ALGORITHM = "largest_abs_values_greedy"  # as the tile pruner calls it
COMPILED_PATTERNS = [(8, 16), (16, 32)]  # others would only cost compile time


def prepare_compiled(problem):
    """The paper's algorithm with its two loop bodies under torch.compile."""
    if not is_tensor(problem.weights):
        raise Skipped("needs PyTorch")
    if (problem.n, problem.m) not in COMPILED_PATTERNS:
        raise Skipped("compiled only for 8:16 and 16:32")
    dykstra = torch.compile(dykstra_step, dynamic=False)
    greedy = torch.compile(greedy_step, dynamic=False)

    def call(weights):
        tiles = abs(to_float(tiles_of(weights, problem.m)))
        mask = published_mask(tiles, problem.n, Parameters(), dykstra, greedy)
        return to_bytes(matrix_of(mask, *weights.shape))

    return call


def require_2_4_on_gpu(problem):
    if not problem.on_gpu:
        raise Skipped("runs only on a GPU")
    if (problem.n, problem.m) != (2, 4):
        raise Skipped("only for 2:4")
    if problem.weights.dtype not in (torch.float16, torch.bfloat16):
        raise Skipped("only for 16-bit weights")


class TilePruned:
    """What torch.sparse's tile pruner returns. Its to_dense() multiplies by the compressed form, which only some GPUs
    can read; the mask that it keeps beside the form is good on all of them."""

    def __init__(self, weights, compressed):
        self.weights, self.compressed = weights, compressed

    def to_dense(self):
        mask = self.compressed.compressed_swizzled_bitmask
        return torch._sparse_semi_structured_apply_dense(torch.ones_like(self.weights), mask)


def prepare_torch_tile(problem):
    """torch.sparse's 2:4 pruner of 4 x 4 tiles, greedy by magnitude; it returns W and its transpose compressed, in the
    layout of the first backend that works on this GPU."""
    require_2_4_on_gpu(problem)
    reason = "this PyTorch has no tile pruner"
    for backend in ("CUSPARSELT", "CUTLASS"):
        try:
            prune = getattr(torch.sparse, "SparseSemiStructuredTensor" + backend).prune_dense_static_sort
            small = problem.weights[:256, :256].contiguous()
            TilePruned(small, prune(small, TORCH_TILE_ALGORITHM)).to_dense()
            return lambda weights: TilePruned(weights, prune(weights, TORCH_TILE_ALGORITHM))
        except (AttributeError, RuntimeError) as error:
            reason = f"{backend}: {error}".splitlines()[0]
    raise Skipped(reason)


def prepare_cusparselt(problem):
    """cusparseLtSpMMAPrune with CUSPARSELT_PRUNE_SPMMA_TILE."""
    require_2_4_on_gpu(problem)
    rows, cols = problem.weights.shape
    if rows != cols or problem.weights.dtype != torch.float16:
        raise Skipped("only for square half-precision matrices")
    library = problem.library
    prune = library.function("prune_with_cusparselt", *[ctypes.c_void_p] * 4)
    handle = library.function("open_cusparselt", ctypes.c_int64, result=ctypes.c_void_p)(rows)
    ring = pruned_for(problem.sets)

    def call(weights):
        out = ring.next()
        require(prune(handle, weights.data_ptr(), out.data_ptr(), torch.cuda.current_stream().cuda_stream))
        return out

    return call


def prepare_lemon(problem):
    """LEMON's network simplex, exactly N, one thread."""
    if problem.on_gpu:
        raise Skipped("runs only on the CPU")
    problem.library.function("find_mask_with_lemon")
    ring = masks_for(problem.sets)

    def call(weights):
        mask = ring.next()
        problem.library.solve_with_lemon(weights, (problem.n, problem.m), "exactly", mask)
        return mask

    return call
