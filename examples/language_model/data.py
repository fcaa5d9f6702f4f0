"""The corpus in memory."""

import functools
import lzma
import pathlib

import torch

from model import CONTEXT


@functools.lru_cache
def read(folder, split):
    """All documents of a split, one after the other, as a byte tensor; unpacked once for all stages, so not to be changed."""
    text = lzma.decompress((pathlib.Path(folder) / f"{split}.xz").read_bytes())
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


def random_windows(text, batch, generator):
    """[batch, CONTEXT + 1] windows from anywhere in the text."""
    starts = torch.randint(len(text) - CONTEXT - 1, (batch,), generator=generator)
    index = starts[:, None] + torch.arange(CONTEXT + 1)
    return text[index.to(text.device)].long()


class TestDocuments:
    """Windows that follow each other without overlap through each document, and the document that each belongs to.

    `windows` is [count, CONTEXT + 1], filled up with zeros; `counted` marks the bytes that are predicted.
    """

    def __init__(self, text, most_bytes):
        rows, counted, owners = [], [], []
        used = documents = 0
        for document in bytes(text.numpy().tobytes()).split(b"\0"):
            if len(document) < 2 or used >= most_bytes:
                continue
            for start in range(0, len(document) - 1, CONTEXT):
                part = document[start : start + CONTEXT + 1]
                rows.append(part + bytes(CONTEXT + 1 - len(part)))
                counted.append(len(part) - 1)
                owners.append(documents)
            used += len(document) - 1
            documents += 1
        self.windows = torch.frombuffer(bytearray(b"".join(rows)), dtype=torch.uint8).reshape(-1, CONTEXT + 1)
        self.counted = torch.arange(CONTEXT)[None] < torch.tensor(counted)[:, None]
        self.owners = torch.tensor(owners)
        self.documents = documents
        self.bytes = torch.zeros(documents, dtype=torch.int64).index_add_(0, self.owners, torch.tensor(counted))
