"""Questions to the rows of a record."""


def of(rows, experiment, **wanted):
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
