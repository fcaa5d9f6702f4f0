#!/usr/bin/env python3
"""Builds the text that the model is trained and judged on, from Debian packages of freely licensed documentation.

    corpus.py FOLDER

needs a Debian machine with apt-get (no root) and nothing but Python's standard library. It leaves in FOLDER

    train.xz, test.xz    documents, each ended by a zero byte
    corpus.json          the packages with their versions, and the sizes

A document is a file, or a part of about 64 KB of a longer one (parts are judged each by itself). Which documents are held out for the test is decided by a hash
of their names. The same packages give the same files, byte for byte. A second call does nothing.
"""

import gzip
import hashlib
import html.parser
import json
import lzma
import pathlib
import re
import subprocess
import sys
import tempfile

PACKAGES = [
    "dict-gcide",
    "linux-doc-6.1",
    "anarchism",
    "python3.11-doc",
    "perl-doc",
    "postgresql-doc-15",
]
LEFT_OUT = re.compile(r"/translations/|/anarchism/markdown/|/_static/|/_images/|genindex|/searchindex|changelog|copyright")
PART_BYTES = 1 << 16
SMALLEST = 512  # bytes; shorter documents are redirections and indices
TEST_SHARE = 24  # one document in so many


class Text(html.parser.HTMLParser):
    """The text of a page, without scripts, styles and navigation."""

    SKIPPED = {"script", "style", "nav", "head"}
    BLOCKS = {"p", "div", "li", "pre", "tr", "h1", "h2", "h3", "h4", "h5", "dt", "dd", "br", "table", "section"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts, self.depth = [], 0

    def handle_starttag(self, tag, attrs):
        self.depth += tag in self.SKIPPED
        if tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag):
        if tag in self.SKIPPED and self.depth > 0:
            self.depth -= 1

    def handle_data(self, data):
        if self.depth == 0:
            self.parts.append(data)

    def text(self):
        lines = [line.rstrip() for line in "".join(self.parts).splitlines()]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def text_of_page(page):
    parser = Text()
    parser.feed(page)
    parser.close()
    return parser.text()


def read_text(path):
    """The text of a file, or nothing if it has none."""
    name, data = path.name, path.read_bytes()
    if name.endswith((".gz", ".dz")):
        name, data = name[:-3], gzip.decompress(data)
    if not name.endswith((".html", ".dict", ".txt", ".pod", ".md", ".rst")):
        return ""
    text = data.decode("utf-8", "replace").replace("\0", "")
    return text_of_page(text) if name.endswith(".html") else text


def parts_of(name, text):
    """Documents of at most some 64 KB, divided at empty lines or, where there are none, at line ends."""
    data = text.encode()
    begin, number = 0, 0
    while begin < len(data):
        end = min(len(data), begin + PART_BYTES)
        if end < len(data):
            cut = max(data.rfind(b"\n\n", begin + PART_BYTES // 2, end), 0) or data.rfind(b"\n", begin, end)
            end = cut if cut > begin else end
        yield f"{name}#{number}", data[begin:end].strip()
        begin, number = end, number + 1


def unpack(package, folder):
    """The package's version; its files are then in `folder`."""
    subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True)
    (archive,) = pathlib.Path(folder).glob(f"{package}_*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, f"{folder}/{package}"], check=True)
    return subprocess.run(["dpkg-deb", "-f", archive, "Version"], check=True, capture_output=True, text=True).stdout.strip()


def documents_of(package, folder):
    root = pathlib.Path(folder) / package
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink()):
        name = f"{package}/{path.relative_to(root)}"
        if LEFT_OUT.search(name):
            continue
        for part in parts_of(name, read_text(path)):
            if len(part[1]) >= SMALLEST:
                yield part


def is_for_test(name):
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % TEST_SHARE == 0


def main():
    out = pathlib.Path(sys.argv[1])
    if (out / "corpus.json").exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    texts, seen, versions, sizes = {"train": [], "test": []}, set(), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            versions[package] = unpack(package, folder)
            before = sum(map(len, texts["train"] + texts["test"]))
            for name, data in documents_of(package, folder):
                digest = hashlib.sha256(data).digest()
                if digest not in seen:
                    seen.add(digest)
                    texts["test" if is_for_test(name) else "train"].append(data)
            sizes[package] = sum(map(len, texts["train"] + texts["test"])) - before
            print(f"{package} {versions[package]}: {sizes[package] / 1e6:.1f} MB", flush=True)
    for split, documents in texts.items():
        documents.sort(key=lambda d: hashlib.sha256(d).digest())  # mixed, so that any beginning is like the whole
        (out / f"{split}.xz").write_bytes(lzma.compress(b"".join(d + b"\0" for d in documents), preset=6))
    counts = {split: {"documents": len(d), "bytes": sum(map(len, d))} for split, d in texts.items()}
    (out / "corpus.json").write_text(json.dumps({"packages": versions, "bytes": sizes, **counts}, indent=2) + "\n")
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
