"""The weights that minigan exports, loaded by hand-written PyTorch: the code of docs/export.md. `pytest -m bench`."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from minigan import backends, config
from minigan.models.layers import Conv2d, Linear, Reshape
from minigan.models.net import Net
from minigan.models.trees import Chain
from minigan.tasks.gan import GAN
from minigan.training import layouts, weights

pytestmark = pytest.mark.bench
torch = pytest.importorskip("torch")

DOCS = Path(__file__).resolve().parents[1] / "docs" / "export.md"


def _filled(net: Net, g: np.random.Generator) -> None:
    for name, view in net.tensors().items():
        view[...] = (
            g.uniform(0.5, 1.5, view.shape) if name.endswith(("var", "gamma")) else g.normal(0, 0.02, view.shape)
        )


def test_the_generator_of_the_docs_draws_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = GAN(config.load("dcgan-mnist"), backends.load("numpy"), (28, 28, 1))
    _filled(task.G, np.random.default_rng(0))
    weights.write(task, 0, tmp_path / "weights.safetensors")
    monkeypatch.chdir(tmp_path)
    (code,) = (c for c in re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.S) if "import torch" in c)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["images"].shape == (16, 28, 28, 1)
    z = np.random.default_rng(1).normal(size=(4, 100)).astype(np.float32)
    own, _ = task.G.forward(z, mode="running")
    assert own.std() > 0.02
    assert np.abs(names["generator"](torch.from_numpy(z)).numpy() - own).max() <= 1e-5


def test_a_discriminator_of_pytorch_gives_the_same_logits_here(tmp_path: Path) -> None:
    conv, dense = torch.nn.Conv2d(3, 5, (3, 2), (2, 1)), torch.nn.Linear(2 * 4 * 5, 1)
    tensors = {"d.0.weight": conv.weight, "d.0.bias": conv.bias, "d.2.weight": dense.weight, "d.2.bias": dense.bias}
    save_file({name: a.detach().numpy() for name, a in tensors.items()}, tmp_path / "w.safetensors")
    net = Net("d", Chain(Conv2d(5, (3, 2), (2, 1), "valid"), Reshape(-1), Linear(1)), (5, 5, 3))
    net.bind(backends.load("numpy"), 0)
    given = weights.read(tmp_path / "w.safetensors", {"d": net})
    for name, view in net.tensors().items():
        view[...] = given[f"d/{name}"]
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 3)).astype(np.float32)
    h = conv(torch.from_numpy(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    own, _ = net.forward(x)
    assert np.abs(dense(h.flatten(1)).detach().numpy() - own).max() <= 1e-5
    assert all(np.array_equal(layouts.outward(layer, key, np.array(getattr(layer, key))), tensors[there].detach())
               for there, (_, layer, key) in layouts.pairs(net, "d").items())  # fmt: skip
