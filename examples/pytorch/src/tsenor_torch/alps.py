"""ALPS on the CPU, in PyTorch's operations: see tsenor/prune/alps.cuh for the method and its names."""

import torch

from .pruners import _check_damping, _library, _rank_dead, _Rule, clean_gram, is_live


def inputs_cpu(gram, damping=0.01):
    """H, its eigenvectors as rows, their values, and the scale D (negative for dead inputs): float64 ``[2 in + 2,
    in]``."""
    if gram.dim() != 2 or gram.shape[0] != gram.shape[1] or gram.dtype != torch.float32:
        raise ValueError(f"tsenor: gram must be float32 [in, in], not {gram.dtype} {list(gram.shape)}")
    _check_damping(damping)
    live, g = is_live(gram), clean_gram(gram).double()
    mean = g.diagonal().mean()
    g.diagonal().add_(damping * mean if mean > 0 else 1)
    scale = _rank_dead(g.diagonal().sqrt(), live, squares=True)
    h = g / (scale[:, None] * scale)
    h.diagonal().fill_(1)
    values, vectors = torch.linalg.eigh(h)
    return torch.cat([h, vectors.T, values.clamp(min=0)[None], torch.where(live, scale, -scale)[None]])


def alps_cpu(
    weight,
    inputs,
    n,
    m,
    *,
    iterations=300,
    structure="transposable",
    method="optimal",
    constraint="exactly",
    edge="reject",
):
    rule = _Rule(weight, n, m, structure, method, constraint, edge)
    cols = weight.shape[1]
    if inputs.shape != (2 * cols + 2, cols) or inputs.dtype != torch.float64:
        raise ValueError(f"tsenor: alps_ takes what alps_inputs returns for {cols} inputs, not {list(inputs.shape)}")
    if not 1 <= iterations <= 100000:
        raise ValueError(f"tsenor: iterations must be 1 to 100000, not {iterations}")
    run = _Run(torch.nan_to_num(weight, nan=0.0, posinf=0.0, neginf=0.0), inputs.float(), rule)
    taken = run.iterate(iterations)
    pruned, mask = run.finish()
    weight.copy_(pruned)
    return mask, taken


class _Schedule:
    """When the penalty rho changes, and when the iteration begins again or stops: that of the authors'
    implementation."""

    def __init__(self):
        self.rho, self.raised = 0.1, False

    def next(self, changed, kept, iteration):
        share, action = changed / kept, "go on"
        if share > 0.1:
            self._raise(1.3)
        elif share > 0.005:
            self._raise(1.2)
        elif self.raised:
            if changed == 0:
                return "stop"
            self._raise(1.1)
        else:
            self.rho /= 5
            action = "begin again" if changed > 0 else action
        return "stop" if iteration > 30 and share < 3e-4 else action

    def _raise(self, factor):
        self.raised, self.rho = True, min(self.rho * factor, 1e6)


class _Run:
    def __init__(self, weight, inputs, rule):
        cols = weight.shape[1]
        self.h, self.vectors, self.values, self.scale = inputs.split([cols, cols, 1, 1])
        self.rule, self.dead = rule, self.scale[0] < 0
        self.wide = weight * self.scale
        self.y = self.wide @ self.h

    def iterate(self, most):
        """B, with at most so many iterations, fewer where the support settles; returns how many."""
        schedule = _Schedule()
        before = self._begin(schedule.rho)
        kept = self.y.numel() * self.rule.n / self.rule.m
        for k in range(1, most + 1):
            rho, action = schedule.rho, "go on"
            self.b = self.side @ self.inverse
            point = self.b + self.v / rho
            z, mask = self._project(point)
            if k % 3 == 0:
                action = schedule.next(int((mask != before).sum()), kept, k)
                before = mask
            if action == "stop":
                break
            if action == "begin again":
                self._begin(schedule.rho)
                continue
            self.v = rho * (point - z)
            self.side = self.y - self.v + schedule.rho * z
            if rho != schedule.rho:
                self._invert(schedule.rho)
        return k

    def finish(self, steps=10):
        """The support of B, of W D where inputs are dead, and the best weights on it that some steps of conjugate
        gradients find, each row by itself."""
        x, mask = self._project(torch.where(self.dead, self.wide, self.b))
        residual = torch.where(mask, self.y - x @ self.h, 0)
        direction, square = residual, residual.square().sum(1)
        limit = 1e-8 * self.y.square().sum(1)
        for _ in range(steps):
            product = direction @ self.h
            curvature = (direction * product).sum(1)
            going = (square > limit) & (curvature > 0)
            length = torch.where(going, square / curvature, 0)[:, None]
            x = x + length * direction
            residual = torch.where(mask, residual - length * product, 0)
            after = residual.square().sum(1)
            turn = torch.where(going, after / square, 0)[:, None]
            direction = torch.where(going[:, None], residual + turn * direction, direction)
            square = torch.where(going, after, square)
        return torch.where(mask, x / self.scale, 0), mask

    def _begin(self, rho):
        z, mask = self._project(self.wide)
        self.v = torch.zeros_like(z)
        self.side = self.y + rho * z
        self._invert(rho)
        return mask

    def _invert(self, rho):
        scaled = self.vectors * (self.values.T + rho).rsqrt()
        self.inverse = scaled.T @ scaled

    def _project(self, point):
        mask = self.rule.mask(point.square(), self.dead)
        return torch.where(mask, point, 0), mask


_library.impl("alps_inputs", inputs_cpu, "CPU")
_library.impl("alps_", alps_cpu, "CPU")
