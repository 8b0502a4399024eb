"""Pictures of the MNIST test files, which no net has seen, restored: by wgan-gp-mnist's generator, and by srgan-mnist.

Protocol: PICTURES of the test images, drawn by seed 0, in the commands' own settings. A mean image is over 10,000
training images; a noisy picture is clipped to black and white. Bicubic is Pillow's, clipped likewise. PSNR is the mean
over pictures; the distance in features is by the classifier that the run learned with.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from minigan.evaluate import restore, upscale
from minigan.training.run import load

PICTURES, LARGE = 64, 1_000


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_trained_generator_fills_in_and_takes_noise_out(
    shared_data: Path, tmp_path: Path, minigan: Callable[..., None]
) -> None:
    minigan("train", "wgan-gp-mnist", "--data", shared_data / "mnist", "--out", tmp_path / "run")
    run = load(tmp_path / "run")
    found = {mask: restore.inpaint_data(run, "", mask, PICTURES) for mask in ("centre", "half", "random:0.5")}
    found["noise"] = restore.denoise_data(run, "", 0.3, PICTURES)
    shares = {name: made.error / made.before for name, made in found.items()}
    print({name: (round(made.error, 4), round(made.before, 4)) for name, made in found.items()})
    assert shares["random:0.5"] <= 0.5, shares
    assert shares["centre"] < 1 and shares["half"] < 1, shares
    assert shares["noise"] <= 0.5, shares


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_srgan_mnist_is_sharper_than_bicubic_in_both_stages(
    shared_data: Path, tmp_path: Path, minigan: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "run"
    more = ("--set", "train.checkpoint_every=1000")
    minigan("train", "srgan-mnist", "--data", shared_data / "mnist", "--out", out, *more)
    first = load(out / "checkpoints" / "step-00001000.safetensors")  # the end of the first stage
    _, bicubic, l2 = upscale.upscale(first, "", LARGE)
    _, _, perceptual = upscale.upscale(load(out), "", LARGE)
    print({"bicubic": bicubic, "l2": l2, "perceptual": perceptual})
    assert l2.psnr >= bicubic.psnr + 1, (l2, bicubic)
    assert perceptual.distance < bicubic.distance, (perceptual, bicubic)
