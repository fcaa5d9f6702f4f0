"""Reads and writes .safetensors files of torch tensors; enough of the format for this experiment."""

import json
import pathlib

import torch

NAMES = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32"}
TYPES = {name: dtype for dtype, name in NAMES.items()}


def save(path, tensors):
    """Writes {name: tensor}; the file is whole or absent."""
    header, offset = {}, 0
    for name, t in tensors.items():
        size = t.numel() * t.element_size()
        header[name] = {"dtype": NAMES[t.dtype], "shape": list(t.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = pathlib.Path(path)
    temporary = path.with_suffix(".part")
    with open(temporary, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for t in tensors.values():
            file.write(t.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    temporary.replace(path)


def load(path, device="cpu"):
    data = memoryview(bytearray(pathlib.Path(path).read_bytes()))
    length = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(bytes(data[8 : 8 + length])).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + at for at in entry["data_offsets"])
        flat = torch.frombuffer(data[begin:end], dtype=TYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"]).to(device)
    return tensors
