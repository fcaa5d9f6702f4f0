"""What `bench/compare --check` asks of a record."""

SAME_QUALITY = 1e-6  # values that differ by less, relatively, are equal


def same_problem(row):
    return tuple(row.get(k) for k in ("experiment", "pattern", "weights", "dtype", "size", "threads"))


def infeasible(rows):
    """Masks that break their pattern."""
    broken = [row for row in rows if row.get("violations")]
    return [f"{name(row)}: {row['violations']} rows and columns break the pattern" for row in broken]


def our_failures(rows):
    """What this library could not do."""
    return [f"{name(row)}: {row['failed']}" for row in rows if "failed" in row and row.get("ours", True)]


def beaten(rows):
    """Timed peers that keep as much as one of this library's optimal masks and that no call of this library beats,
    which keeps as much as the peer and writes the same kind of output where it can."""
    timed = [row for row in rows if "milliseconds" in row and "ours" in row]
    return [text for peer in timed if not peer["ours"] for text in lost_to(peer, ours_beside(peer, timed))]


def ours_beside(peer, timed):
    ours = [row for row in timed if row["ours"] and same_problem(row) == same_problem(peer)]
    return [row for row in ours if row["output"] == peer["output"]] or ours


def lost_to(peer, ours):
    optima = [row["value"] for row in ours if row["method"].startswith("tsenor_optimal")]
    if not optima or peer["value"] < (1 - SAME_QUALITY) * min(optima):
        return []
    as_good = [row["milliseconds"] for row in ours if row["value"] >= (1 - SAME_QUALITY) * peer["value"]]
    if as_good and min(as_good) <= peer["milliseconds"]:
        return []
    ours_takes = f"{min(as_good):.4g} ms" if as_good else "no call that keeps as much"
    return [f"{name(peer)}: {peer['milliseconds']:.4g} ms, this library: {ours_takes}"]


def name(row):
    return " ".join(str(row[k]) for k in ("experiment", "pattern", "weights", "size", "threads", "method") if k in row)


def complaints(rows):
    """Everything that --check fails for, as text; rows without a timing of this library's are a complaint too."""
    found = infeasible(rows) + our_failures(rows) + beaten(rows)
    if not any("milliseconds" in row and row.get("ours") for row in rows):
        found.append("nothing of this library was timed")
    return found
