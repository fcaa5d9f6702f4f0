"""The life of models of transformers: Trainer, accelerate, save_pretrained, ties."""

from pathlib import Path

import pytest
import torch
from models import gpt2, llama, mixtral, sparsity_of, vit
from test_sharding import launched

from tsenor_torch import MaskRefresh, finalize, plain_state_dict, sparsify

safetensors = pytest.importorskip("safetensors.torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")
HERE = Path(__file__).parent
SCRIPT = str(HERE.parent / "train_llama.py")
# FSDP2 where there is no GPU, for which accelerate has no choice: gloo on the CPU.
ON_THE_CPU = """
import os, runpy, sys
from accelerate.state import PartialState
from accelerate.utils import DistributedType
os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
PartialState._prepare_backend = lambda *_: ("gloo", DistributedType.MULTI_GPU)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
sys.stdout.flush()
os._exit(0)  # a thread of gloo may abort while Python takes itself down, as in ranks.py
"""


def inputs_of(make):
    if make is vit:
        return {"pixel_values": torch.randn(2, 3, 32, 32)}
    return {"input_ids": torch.arange(32).reshape(2, 16)}


@pytest.mark.parametrize("make", [llama, gpt2, mixtral, vit])
def test_finalized_models_come_back_from_disk(make, tmp_path):
    model = make().eval()
    sparsify(model, 8, 16)
    inputs = inputs_of(make)
    with torch.no_grad():
        expected = model(**inputs).logits
        dense = make().eval()
        dense.load_state_dict(plain_state_dict(model.state_dict()))
        assert torch.equal(dense(**inputs).logits, expected)
        finalize(model).save_pretrained(tmp_path)
        assert torch.equal(model(**inputs).logits, expected)
        loaded = type(model).from_pretrained(tmp_path).eval()
        torch.testing.assert_close(loaded(**inputs).logits, expected)
        assert list(loaded.state_dict()) == list(model.state_dict())


def test_ties_live_on():
    model = llama(tie_word_embeddings=True)
    sparsify(model, 8, 16)
    model.tie_weights()
    model.resize_token_embeddings(112)
    assert model.lm_head.weight is model.model.embed_tokens.weight and model.lm_head.weight.shape == (112, 32)
    assert (model.lm_head.weight != 0).all()
    finalize(model)
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize("make", [llama, gpt2])
def test_sparse_models_save_while_they_train(make, tmp_path):
    model = make()
    sparsify(model, 8, 16)
    model.save_pretrained(tmp_path)
    state, other = safetensors.load_file(tmp_path / "model.safetensors"), make()
    sparsify(other, 8, 16)
    other.load_state_dict(state, strict=False)  # as Trainer does; tied heads are left out
    ids = inputs_of(make)
    assert torch.equal(other.eval()(**ids).logits, model.eval()(**ids).logits)


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, k):
        ids = (k + torch.arange(16)) % 96
        return {"input_ids": ids, "labels": ids}


def trained(folder, until, resume=None, tied=True):
    torch.manual_seed(3)
    model = llama(tie_word_embeddings=tied)
    sparsify(model, 8, 16)
    arguments = transformers.TrainingArguments(
        str(folder), per_device_train_batch_size=8, max_steps=until, save_steps=4, learning_rate=0.02, report_to=[],
        seed=1, use_cpu=True, disable_tqdm=True, lr_scheduler_type="constant",
    )
    trainer = transformers.Trainer(model, arguments, train_dataset=Numbers())
    handle = MaskRefresh(model, trainer.create_optimizer(), every=3)
    trainer.train(resume_from_checkpoint=resume)
    return model, handle


@pytest.mark.parametrize("tied", [True, False])
def test_trainer_goes_on_in_the_same_phase(tmp_path, tied):
    whole, _ = trained(tmp_path / "whole", 8, tied=tied)
    trained(tmp_path / "parts", 4, tied=tied)
    parts, handle = trained(tmp_path / "parts", 8, resume=str(tmp_path / "parts" / "checkpoint-4"), tied=tied)
    assert handle.steps == 8
    for first, second in zip(whole.model.layers[0].mlp.children(), parts.model.layers[0].mlp.children()):
        if isinstance(first, torch.nn.Linear):
            assert torch.equal(sparsity_of(first).mask, sparsity_of(second).mask)
            assert torch.equal(first.weight, second.weight)


def test_the_readmes_script_and_the_same_fully_sharded(tmp_path):
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    said = launched(SCRIPT, str(folders[0]), folder=tmp_path)
    assert "continues after step 10" in said and "same logits: True" in said
    fsdp = [
        "--num_processes", "2", "--main_process_ip", "127.0.0.1", "--use_fsdp", "--fsdp_version", "2",
        "--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP",
        "--fsdp_transformer_layer_cls_to_wrap", "LlamaDecoderLayer", "--fsdp_state_dict_type", "SHARDED_STATE_DICT",
    ]
    on_the_cpu = tmp_path / "on_the_cpu.py"
    on_the_cpu.write_text(ON_THE_CPU)
    said = launched(
        "-m", "accelerate.commands.launch", *fsdp, str(on_the_cpu), SCRIPT, str(folders[1]), folder=tmp_path
    )
    assert "continues after step 10" in said and "same logits: True" in said
    masks = [(folder / "masks.safetensors").read_bytes() for folder in folders]
    assert masks[0] == masks[1]
    plain, ids = transformers.AutoModelForCausalLM.from_pretrained(folders[0] / "plain"), torch.arange(32)[None]
    expected = plain(ids).logits  # which tells PyTorch of the type that the program returns
    program = torch.export.load(folders[0] / "plain.pt2")
    torch.testing.assert_close(program.module()(ids, use_cache=False).logits, expected)
    assert abs(float((plain.model.layers[0].mlp.up_proj.weight != 0).float().mean()) - 0.5) < 1e-6
