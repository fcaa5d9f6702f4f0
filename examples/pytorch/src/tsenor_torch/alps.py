"""ALPS on the CPU, in PyTorch's operations: see tsenor/prune/alps.cuh for the method and its names."""

import torch

from .pruners import _library, _ops, _rank_dead, _Rule, clean_gram, is_live


def inputs_cpu(gram, damping=0.01):
    """The bytes of H, its eigenvectors as rows, their values, and the scale D (negative for dead inputs)."""
    _ops.check_alps_inputs(gram, damping)
    live, g = is_live(gram), clean_gram(gram).double()
    mean = g.diagonal().mean()
    g.diagonal().add_(damping * mean if mean > 0 else 1)
    scale = _rank_dead(g.diagonal().sqrt(), live, squares=True)
    h = g / (scale[:, None] * scale)
    h.diagonal().fill_(1)
    values, vectors = torch.linalg.eigh(h)
    inputs = torch.zeros(_ops.alps_inputs_bytes(len(gram)), dtype=torch.uint8)
    parts = [h, vectors.T, values.clamp(min=0)[None], torch.where(live, scale, -scale)[None]]
    _parts(inputs, len(gram)).copy_(torch.cat(parts))
    return inputs


def _parts(inputs, cols):
    """``[2 in + 2, in]`` of the bytes that alps_inputs returns."""
    return inputs[: 8 * cols * (cols + 1)].view(torch.float32).view(2 * cols + 2, cols)


def alps_cpu(weight, inputs, n, m, *, iterations=300, **rule):
    _ops.check_alps(weight, inputs, n, m, iterations=iterations, **rule)
    if weight.numel() == 0:
        return torch.ones_like(weight, dtype=torch.bool), torch.tensor(0)
    finite = torch.nan_to_num(weight, nan=0.0, posinf=0.0, neginf=0.0)
    run = _Run(finite, _parts(inputs, weight.shape[1]), _Rule(n, m, **rule))
    taken = run.iterate(iterations)
    pruned, mask = run.finish()
    weight.copy_(pruned)
    return mask.contiguous(), torch.tensor(taken)


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
