"""cyclegan-digits on real MNIST keeps a digit's class on both ways and there and back.

Protocol: the first 2,000 test images, which no net has seen, as they are (A) and outlined (B). Two judges, minigan's
classifiers: one of the training images, one of their outlines. Kept: the judge of the domain where a picture arrives
gives it the class of its test image. The cycle's mean absolute error is on a scale from 0 to 1.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from minigan.config import Data
from minigan.data import idx
from minigan.data.domains import outlined
from minigan.evaluate.features import Extractor, extractor
from minigan.training.run import Run, load

PICTURES = 2_000
JUDGE, KEPT, CYCLE = 0.97, 0.85, 0.1


def read(folder: Path, stem: str) -> NDArray[np.uint8]:
    path = idx.find(folder, stem)
    assert path is not None, f"{folder} holds no {stem}"
    return idx.read(path)


def measured(run: Run, mnist: Path, scratch: Path) -> dict[str, float]:
    """The figures of a run: accuracies of the judges on real pictures, shares of kept classes, both cycles' errors."""
    images, labels = (read(mnist, stem) for stem in (idx.IMAGES, idx.LABELS))
    contours = outlined(images[..., None].astype(np.float32), (0.0, 255.0)).astype(np.uint8)
    np.savez(scratch / "outlined.npz", x=contours, y=labels)
    of_a, of_b = (extractor(Data(str(name), range="-1..1")) for name in (mnist, scratch / "outlined.npz"))

    y = read(mnist, idx.TEST_LABELS)[:PICTURES]
    a = read(mnist, idx.TEST_IMAGES)[:PICTURES, ..., None].astype(np.float32) / 127.5 - 1
    b = outlined(a, (-1.0, 1.0))
    ab, ba = run.translate(a, "a-b"), run.translate(b, "b-a")
    aba, bab = run.translate(ab, "b-a"), run.translate(ba, "a-b")

    def share(judge: Extractor, x: NDArray[np.float32]) -> float:
        return float((judge.see(x).labels == y).mean())

    kept = {"A": (of_a, a), "B": (of_b, b), "A->B": (of_b, ab), "B->A": (of_a, ba), "A->B->A": (of_a, aba)}
    return {
        **{name: share(*pair) for name, pair in kept.items()},
        "B->A->B": share(of_b, bab),
        "cycle A": float(np.abs(aba - a).mean()) / 2,
        "cycle B": float(np.abs(bab - b).mean()) / 2,
    }


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_cyclegan_digits_keeps_the_class(
    shared_data: Path, tmp_path: Path, minigan: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    minigan("train", "cyclegan-digits", "--data", shared_data / "mnist", "--out", tmp_path / "run")
    found = measured(load(tmp_path / "run"), shared_data / "mnist", tmp_path)
    print(found)
    assert min(found["A"], found["B"]) >= JUDGE, found
    assert min(found[way] for way in ("A->B", "B->A", "A->B->A", "B->A->B")) >= KEPT, found
    assert max(found["cycle A"], found["cycle B"]) <= CYCLE, found
