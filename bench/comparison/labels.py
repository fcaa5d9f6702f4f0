"""What reports and plots share: how they select rows of a record, and how they name and draw the methods."""

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


def select(rows, experiment, **wanted):
    """The rows of an experiment that have a result and these fields."""
    return [
        row
        for row in rows
        if row["experiment"] == experiment and "value" in row and all(row.get(k) == v for k, v in wanted.items())
    ]


def distinct(rows, field):
    """The values of a field, in the order in which they come."""
    return list(dict.fromkeys(row[field] for row in rows if field in row))


def weights_in(row):
    """How many weights the matrix of a row has."""
    rows, cols = (int(x) for x in row["size"].split("x"))
    return rows * cols


def side(row):
    return int(row["size"].split("x")[0])


def with_all_threads(rows):
    """Of timed rows those with the most threads, for methods that ran with several numbers of them."""
    most = {}
    for row in rows:
        key = (row["method"], row["pattern"], row["size"])
        if key not in most or row.get("threads", 0) > most[key].get("threads", 0):
            most[key] = row
    return list(most.values())
