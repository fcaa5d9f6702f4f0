"""A folder with the finished blocks of a pruning, so that a killed run can resume."""

import hashlib
import json
import os
from pathlib import Path

import torch

from .pruning_report import LayerReport


class PruneFolder:
    """``settings.json`` says what is pruned, and how. Each finished block has a file of weights and a report."""

    def __init__(self, path, model, batches, plan, settings):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        layers = [[x.name, list(x.view.shape), x.n, x.m] for block in plan for x in block]
        identity = {
            **settings._asdict(),
            "layers": layers,
            "weights": _digest(p for _, p in model.named_parameters()),
            "batches": _digest(_tensors(batches)),
        }
        known = self.path / "settings.json"
        if known.exists():
            before = json.loads(known.read_text())
            other = [key for key in identity if identity[key] != before.get(key)]
            if other:
                raise ValueError(
                    f"tsenor: {known} belongs to a pruning with other {', '.join(other)}: resume it with the same "
                    "dense model, data and settings, or name another folder"
                )
        _write(known, lambda to: to.write_text(json.dumps(identity)))

    def load(self, k, matrices):
        """Puts the weights of a block that is done in place, and returns its report; None where it is not done."""
        report = self.path / f"block-{k:04}.json"
        if not report.exists():
            return None
        weights = torch.load(self._weights(k), weights_only=True) if matrices else {}
        for matrix in matrices:
            matrix.view.copy_(weights[matrix.name])
        return [LayerReport(**{**row, "shape": tuple(row["shape"])}) for row in json.loads(report.read_text())]

    def save(self, k, matrices, found):
        if matrices:
            weights = {matrix.name: matrix.view.contiguous() for matrix in matrices}
            _write(self._weights(k), lambda to: torch.save(weights, to))
        rows = json.dumps([row._asdict() for row in found])
        _write(
            self.path / f"block-{k:04}.json", lambda to: to.write_text(rows)
        )  # the last: it says that the block is done

    def _weights(self, k):
        return self.path / f"block-{k:04}.pt"


def _write(path, write):
    """The file is whole or absent."""
    partial = path.with_name(path.name + ".partial")
    write(partial)
    os.replace(partial, path)


def _tensors(batches):
    for batch in batches or []:
        if isinstance(batch, torch.Tensor):
            yield batch
        else:
            yield from batch.values() if hasattr(batch, "values") else batch


def _digest(tensors):
    digest = hashlib.sha256()
    for t in tensors:
        digest.update(f"{t.dtype}{list(t.shape)}".encode())
        digest.update(t.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy() if t.numel() else b"")
    return digest.hexdigest()
