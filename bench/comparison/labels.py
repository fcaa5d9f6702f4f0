"""How reports and plots name and draw the methods."""

# name in the record -> (name for people, colour, marker)
METHODS = {
    "tsenor_optimal": ("tsenor, optimal", "#d55e00", "o"),
    "tsenor_optimal_at_most": ("tsenor, optimal, at most N", "#e69f00", "s"),
    "tsenor_optimal_pruned": ("tsenor, optimal, to pruned weights", "#a03d00", "D"),
    "tsenor_published": ("tsenor, published method", "#cc79a7", "v"),
    "published_arrays": ("published, array operations", "#0072b2", "^"),
    "published_compiled": ("published, torch.compile", "#56b4e9", "<"),
    "torch_tile_prune": ("PyTorch 2:4 tile pruner", "#332288", "P"),
    "cusparselt_tile": ("cuSPARSELt TILE prune", "#117733", "X"),
    "pattern_search": ("all 4x4 masks, matrix product", "#009e73", "*"),
    "lemon": ("LEMON network simplex", "#000000", "h"),
    "greedy": ("greedy", "#777777", "d"),
    "two_approximation": ("2-approximation", "#aaaaaa", ">"),
    "row_then_column": ("rows, then columns", "#88ccaa", "p"),
    "random_best_of_1000": ("best of 1000 random masks", "#bbaa55", "."),
}

LABELS = {name: look[0] for name, look in METHODS.items()}

ABLATIONS = {
    "simple": "rows, then columns",
    "greedy": "greedy",
    "greedy+search": "greedy + local search",
    "entropy+simple": "entropy + rows, then columns",
    "entropy+greedy": "entropy + greedy",
    "entropy+greedy+search": "entropy + greedy + local search (the paper)",
    "tsenor_optimal": "optimum (tsenor)",
}

WEIGHTS = {
    "gaussian": "Gaussian",
    "heavy_tailed": "heavy-tailed (Student's t, 3)",
    "real": "real (chess network)",
    "transformer": "transformer (all-MiniLM-L6-v2)",
}


def label(method):
    return LABELS.get(method, method)


def weights_label(name):
    return WEIGHTS.get(name, name)


def in_order(names, order):
    """`names` once each, first as in `order`, then as they come."""
    names = list(dict.fromkeys(names))
    return [x for x in order if x in names] + [x for x in names if x not in order]
