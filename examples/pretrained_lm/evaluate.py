"""Perplexity a token on held-out articles, with intervals from resampling the articles."""

import math

import torch
import torch.nn.functional as F

RESAMPLES = 2000


@torch.no_grad()
def document_losses(model, test, device, batch):
    """Each article's sum of -log p over its tokens, in nats."""
    losses = torch.zeros(len(test.tokens), dtype=torch.float64, device=device)
    for first in range(0, len(test.windows), batch):
        part = slice(first, first + batch)
        windows = test.windows[part].to(device)
        logits = model(windows[:, :-1], use_cache=False).logits
        loss = F.cross_entropy(logits.flatten(0, 1).float(), windows[:, 1:].flatten(), reduction="none")
        sums = (loss.view(len(windows), -1) * test.counted[part].to(device)).sum(1).double()
        losses.index_add_(0, test.owners[part].to(device), sums)
    return losses.cpu()


def resampled(losses, sizes):
    """Mean losses a token of resamples of the articles; the same draws for the same articles, so that differences
    pair."""
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


def score(model, test, device, batch=8):
    """What the report needs to know of a model."""
    model.eval()
    losses = document_losses(model, test, device, batch)
    value, low, high = perplexity(losses, test.tokens)
    return {"perplexity": value, "low": low, "high": high, "losses": [round(x, 4) for x in losses.tolist()]}
