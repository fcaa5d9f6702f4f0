"""Perplexity a byte on held-out documents, with intervals from resampling the documents."""

import math

import torch
import torch.nn.functional as F

RESAMPLES = 2000


@torch.no_grad()
def document_losses(model, documents, device, batch=256):
    """Each document's sum of -log p over its bytes, in nats."""
    model.eval()
    losses = torch.zeros(documents.documents, dtype=torch.float64)
    for first in range(0, len(documents.windows), batch):
        part = slice(first, first + batch)
        windows = documents.windows[part].to(device).long()
        with torch.autocast(device.type, dtype=torch.bfloat16):
            logits = model(windows[:, :-1])
        loss = F.cross_entropy(logits.float().transpose(1, 2), windows[:, 1:], reduction="none")
        sums = (loss * documents.counted[part].to(device)).sum(1).double().cpu()
        losses.index_add_(0, documents.owners[part], sums)
    return losses


def resampled(losses, sizes):
    """Mean losses a byte of resamples of the documents; the same draws for the same documents, so that differences pair."""
    losses, sizes = torch.as_tensor(losses, dtype=torch.float64), torch.as_tensor(sizes, dtype=torch.float64)
    draws = torch.randint(len(sizes), (RESAMPLES, len(sizes)), generator=torch.Generator().manual_seed(0))
    return losses[draws].sum(1) / sizes[draws].sum(1)


def interval(values):
    """The central 95 %."""
    low, high = torch.quantile(values, torch.tensor([0.025, 0.975], dtype=values.dtype)).tolist()
    return low, high


def perplexity(losses, sizes):
    """Perplexity, and its interval."""
    low, high = interval(resampled(losses, sizes))
    return math.exp(float(sum(losses)) / float(sum(sizes))), math.exp(low), math.exp(high)
