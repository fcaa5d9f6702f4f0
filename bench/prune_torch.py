#!/usr/bin/env python3
"""Times the steps of the pruners in PyTorch, on one layer like that of prune_gpu.cu. Prints one JSON object of times in
milliseconds.

Masks are standard N:M, found by PyTorch's topk. The time of alps is measured over a few iterations, which are all
alike, and given for 300. TF32 is off.
"""

import argparse
import json
import time

import torch


def correlated(tokens, side, device):
    noise = torch.randn(tokens, side, device=device)
    x = sum(0.8**k * noise.roll(k, 1) for k in range(16))
    return x * (0.5 + torch.arange(side, device=device) % 7)


def row_wise(importance, n, m):
    groups = importance.reshape(-1, m)
    mask = torch.zeros_like(groups, dtype=torch.bool).scatter_(1, groups.topk(n, dim=1).indices, True)
    return mask.reshape(importance.shape)


def sparsegpt(w, gram, tokens, n, m, block=128):
    w, h = w.clone(), gram * (2 / tokens)
    dead = h.diagonal() == 0
    h[dead, dead] = 1
    w[:, dead] = 0
    h.diagonal().add_(0.01 * h.diagonal().mean())
    u = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)
    for left in range(0, w.shape[1], block):
        right = min(left + block, w.shape[1])
        errors = torch.zeros_like(w[:, left:right])
        for j in range(left, right):
            if j % m == 0:
                keep = row_wise(w[:, j : j + m] ** 2 / u.diagonal()[j : j + m] ** 2, n, m)
            error = torch.where(keep[:, j % m], 0, w[:, j]) / u[j, j]
            w[:, j] *= keep[:, j % m]
            w[:, j + 1 : right] -= error[:, None] * u[j, j + 1 : right]
            errors[:, j - left] = error
        w[:, right:] -= errors @ u[left:right, right:]
    return w


def alps_iterations(w, q, values, y, n, m, count, rho=0.1):
    z, v = w * row_wise(w**2, n, m), torch.zeros_like(w)
    inverse = (q / (values + rho)) @ q.T
    for _ in range(count):
        b = (y - v + rho * z) @ inverse
        point = b + v / rho
        z = point * row_wise(point**2, n, m)
        v = v + rho * (b - z)
    return z


def milliseconds(device, call, runs=1):
    times = []
    for k in range(runs + 1):  # the first is not counted, unless it is the only one
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times[1:] or times)[runs // 2]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="cuda", help="default: %(default)s")
    p.add_argument("--side", type=int, default=4096, help="side of the layer (default: %(default)s)")
    a = p.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.manual_seed(0)
    n, m, tokens = 16, 32, 2 * a.side
    w = torch.randn(a.side, a.side, device=a.device)
    gram = (lambda x: x.T @ x)(correlated(tokens, a.side, a.device))
    g = gram.clone()
    g.diagonal().add_(0.01 * g.diagonal().mean())
    d = g.diagonal().sqrt()
    h = g / d / d[:, None]
    wanda = milliseconds(a.device, lambda: w * row_wise(w.abs() * gram.diagonal().sqrt(), n, m), 5)
    results = {"wanda_row_wise_ms": wanda}
    results["sparsegpt_row_wise_ms"] = milliseconds(a.device, lambda: sparsegpt(w, gram, tokens, n, m))
    found = []
    results["eigh_fp64_ms"] = milliseconds(a.device, lambda: found.append(torch.linalg.eigh(h.double())), 0)
    values, q = found[0]
    wide, values, q = w * d, values.float(), q.float()
    y = wide @ h
    few = milliseconds(a.device, lambda: alps_iterations(wide, q, values, y, n, m, 10)) / 10
    results["alps_row_wise_300_iterations_ms"] = 300 * few
    results["inverse_from_eigenvectors_ms"] = milliseconds(a.device, lambda: (q / (values + 0.1)) @ q.T, 3)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
