"""Text to train on: documents in one compressed file, some of them held out.

    apt-get download linux-source-6.1 && dpkg -x linux-source-6.1_*.deb .
    python text.py usr/src/linux-source-6.1.tar.xz text.xz --share 0.2

SOURCE is a folder or a tar archive. The documents are its files of 1000 to 200,000 bytes in UTF-8 without zero bytes;
with --share, only those of them whose names have the smallest hashes. FILE (.xz, .gz or .bz2) holds the source's name
and the documents, each followed by a zero byte. The sources of Linux, C and English, are under the GPL 2.0.
"""

import argparse
import bz2
import gzip
import hashlib
import lzma
import sysconfig
import tarfile
from pathlib import Path

import torch

HELD_OUT = 50  # one document in so many
OPEN = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}


def files(source):
    """Names and bytes of a folder's or an archive's files."""
    if source.is_dir():
        for path in sorted(p for p in source.rglob("*") if p.is_file() and not p.is_symlink()):
            yield path.relative_to(source).as_posix(), path.read_bytes()
        return
    with tarfile.open(source, "r|*") as archive:
        yield from ((member.name, archive.extractfile(member).read()) for member in archive if member.isfile())


def is_text(content):
    try:
        return 1000 <= len(content) <= 200_000 and b"\0" not in content and bool(content.decode())
    except UnicodeDecodeError:
        return False


def number_of(data):
    """A hash from 0 to 1."""
    return int.from_bytes(hashlib.sha256(data).digest()[:4], "big") / 2**32


def pack(source, to, share):
    """Writes the file; how many documents and bytes it has."""
    documents = size = 0
    with OPEN[to.suffix](to, "wb") as out:
        out.write(source.name.encode() + b"\0")
        for name, content in files(source):
            if number_of(name.encode()) < share and is_text(content):
                out.write(content + b"\0")
                documents, size = documents + 1, size + len(content) + 1
    return documents, size


class Text:
    """Bytes to learn, and those of the documents held out, one in fifty by the hash of its content."""

    def __init__(self, name, documents, device="cpu"):
        parts = [], []
        for document in documents:
            parts[number_of(document) < 1 / HELD_OUT].append(document + b"\0")
        if not all(parts):
            raise SystemExit(f"{name}: {len(parts[0])} documents to learn, {len(parts[1])} held out: that is too few")
        whole = [b"".join(part) for part in parts]
        self.learnt, self.held_out = (
            torch.frombuffer(bytearray(part), dtype=torch.uint8).to(device) for part in whole
        )
        self.record = {
            "name": name, "documents": len(parts[0]), "bytes": len(whole[0]), "held_out_documents": len(parts[1]),
            "held_out_bytes": len(whole[1]), "sha256": hashlib.sha256(whole[0] + whole[1]).hexdigest()
        }

    @classmethod
    def of(cls, path, device="cpu"):
        """Of a file that :func:`pack` wrote, or, without one, the sources of Python's standard library, which are
        wherever Python is."""
        if path is None:
            library = Path(sysconfig.get_path("stdlib"))
            sources = sorted(library.glob("*.py")) + sorted(library.glob("*/*.py"))
            own = (p.read_bytes() for p in sources if "packages" not in p.parts[-2])
            return cls("the sources of Python's standard library", filter(is_text, own), device)
        with OPEN[path.suffix](path) as packed:
            name, *documents = packed.read().split(b"\0")
        if len(name) > 255:
            raise SystemExit(f"{path}: no file that text.py wrote")
        return cls(name.decode(), filter(None, documents), device)

    def batch(self, size, seed, step, part=slice(None)):
        """Pieces at random places ``[batch, length + 1]``, the same for a seed and a step on every device; of the batch
        the part that a rank takes."""
        generator = torch.Generator().manual_seed(seed * 2**32 + step)
        starts = torch.randint(len(self.learnt) - size["length"] - 1, (size["batch"],), generator=generator)
        return pieces(self.learnt, starts[part], size["length"])

    def tests(self, size, batches, part=slice(None)):
        """So many batches at even distances through what is held out."""
        count = batches * size["batch"]
        starts = torch.linspace(0, len(self.held_out) - size["length"] - 1, count).long()
        return [pieces(self.held_out, s[part], size["length"]) for s in starts.split(size["batch"])]


def pieces(text, starts, length):
    return text[(starts[:, None] + torch.arange(length + 1)).to(text.device)].long()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("source", type=Path)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--share", type=float, default=1.0, help="of the documents (default: %(default)s)")
    given = arguments.parse_args()
    documents, size = pack(given.source, given.file, given.share)
    print(f"{documents} documents, {size / 1e6:.1f} MB, compressed {given.file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
