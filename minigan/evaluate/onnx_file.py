"""What a network of the user's says of pictures, an ONNX file: features, so that the protocol of others is possible
where its file is, or a classifier's scores.

FILE.onnx,RANGE: RANGE is what the file's input takes black and white for, 0..1, -1..1 or 0..255, which no file says.
The file has one input of four axes, (N,C,H,W) or (N,H,W,C), and its first output of floats is (N,F), or (N,F,1,1).
Pictures are brought to its height and width, where these are fixed, and grey ones to three channels, where it wants
these.
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minigan.errors import ConfigError, DataError
from minigan.evaluate.items import Items
from minigan.training.environment import threads

RANGES = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}
TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}
FILTER = "bicubic, antialiased (Pillow, channel by channel, float32)"
_AT_ONCE = 64


class Use(NamedTuple):
    """What a file is wanted for, in the words of errors: where it was named, what it is, and what it should give."""

    option: str
    role: str
    gives: str


FEATURES = Use("--features ", "extractor", "float features (N,F) of {n} pictures, so put a global pooling at its end")


class OnnxFile:
    """items -> (N,F). Raises ConfigError and DataError before anything long begins: its first block is run at once."""

    def __init__(self, word: str, items: Items, use: Use = FEATURES):
        name, _, self.range = word.rpartition(",") if "," in word else (word, "", "")
        if self.range not in RANGES:
            raise ConfigError(
                f"{use.option}{word!r}: say what black and white are in the file's input, as {name or word},-1..1; "
                f"known: {', '.join(RANGES)}"
            )
        if items.ndim != 4:
            raise ConfigError(f"{use.option}{word!r}: the run makes vectors, which no such file sees; give pixels")
        self.use = use
        self.path = Path(name)
        self.session = self._open()
        self._look(items)
        features = self(items[:1]).shape[1]
        self.digest = hashlib.blake2b(self.path.read_bytes() + self.range.encode(), digest_size=8).hexdigest()
        self.about: dict[str, Any] = {
            "name": self.path.name,
            "layout": self.layout,
            "range": self.range,
            "size": [self.height, self.width],
            "resize": FILTER if self.resizes else "none",
            "features": features,
            "blake2b": self.digest,
            "onnxruntime": self.version,
        }

    def _open(self) -> Any:
        try:
            import onnxruntime
        except ImportError as e:
            raise ConfigError(f"{self.path} needs onnxruntime; install it: pip install minigan[eval]") from e
        if not self.path.is_file():
            raise DataError(f"{self.path}: there is no such file; give the .onnx of your {self.use.role}")
        self.version: str = onnxruntime.__version__  # of whichever package brings it: onnxruntime, onnxruntime-gpu
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        options.log_severity_level = 4  # errors come as exceptions
        try:
            return onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as e:  # onnxruntime's own kinds have no common root
            raise DataError(f"{self.path}: onnxruntime cannot open it: {_line(e)}; export it again") from e

    def _look(self, items: Items) -> None:
        """What the file's input says, against what there is."""
        h, w, c = items.shape[1:]
        inputs = self.session.get_inputs()
        shape, kind = inputs[0].shape, inputs[0].type
        what = f"{self.path}: its input is {kind} {shape}"
        if len(inputs) != 1 or len(shape) != 4:
            raise DataError(f"{self.path}: has {len(inputs)} inputs, the first {shape}; expected one, with four axes")
        if kind not in TYPES or (TYPES[kind] is np.uint8 and self.range != "0..255"):
            raise DataError(f"{what}, and its range given as {self.range}; expected float32, or uint8 in 0..255")
        layouts = {"NCHW": shape[1] in (1, 3), "NHWC": shape[3] in (1, 3)}
        if sum(layouts.values()) != 1:
            raise DataError(f"{what}; expected 1 or 3 channels at axis 1 (NCHW) or at axis 3 (NHWC), and not at both")
        self.layout = next(name for name, found in layouts.items() if found)
        self.batch, self.dtype = shape[0] if isinstance(shape[0], int) else _AT_ONCE, TYPES[kind]
        channels, height, width = shape[1:] if self.layout == "NCHW" else (shape[3], *shape[1:3])
        self.height, self.width = (a if isinstance(a, int) else b for a, b in ((height, h), (width, w)))
        self.channels, self.resizes = channels, (self.height, self.width) != (h, w)
        if channels < c:
            raise DataError(f"{what}, which is grey, but the pictures have {c} channels; give one for colour")

    def __call__(self, items: Items) -> NDArray[np.float32]:
        name = self.session.get_inputs()[0].name
        kinds = [output.type for output in self.session.get_outputs()]
        wanted = kinds.index("tensor(float)") if "tensor(float)" in kinds else 0
        rows = []
        for start in range(0, len(items), self.batch):
            block = items[start : start + self.batch]
            padded = np.zeros((self.batch, self.height, self.width, self.channels), np.float32)
            padded[: len(block)] = self._fitted(block)
            low, high = RANGES[self.range]
            x = (low + (high - low) / 255 * padded).astype(self.dtype)
            x = x.transpose(0, 3, 1, 2) if self.layout == "NCHW" else x
            try:
                out = np.asarray(self.session.run(None, {name: np.ascontiguousarray(x)})[wanted])
            except Exception as e:
                raise DataError(f"{self.path}: cannot run on {x.shape}: {_line(e)}; export it for such pictures") from e
            if out.ndim < 2 or out.shape[:2] != (self.batch, out.size // self.batch) or out.dtype.kind != "f":
                gives = self.use.gives.format(n=self.batch)
                raise DataError(f"{self.path}: its first output is {out.dtype} {out.shape}; expected {gives}")
            rows.append(out.reshape(self.batch, -1)[: len(block)].astype(np.float32))
        features = np.concatenate(rows)
        if not np.isfinite(features).all():
            raise DataError(f"{self.path}: gives NaN or infinity on these pictures; is {self.range} its input's range?")
        return features

    def _fitted(self, block: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N,H,W,C) uint8 -> (N, height, width, channels) float32 in 0..255."""
        x = np.repeat(block, self.channels // block.shape[3], axis=3).astype(np.float32)
        if not self.resizes:
            return x
        out = np.empty((len(x), self.height, self.width, self.channels), np.float32)
        for k in range(len(x)):
            for i in range(self.channels):
                channel = Image.fromarray(x[k, ..., i])
                out[k, ..., i] = channel.resize((self.width, self.height), Image.Resampling.BICUBIC)
        return out.clip(0, 255)


def _line(e: Exception) -> str:
    return " ".join(str(e).split())[:160]
