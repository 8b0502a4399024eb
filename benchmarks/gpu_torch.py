"""PyTorch's side of `benchmarks.gpu`: the nets of torch_nets.py and the ops of torch_ops.py on a device, in float32 or
TF32, called, compiled, or captured as a CUDA graph. Imports nothing of minigan.

In its favour: its real batch lies on the device for good, and z is drawn there.
"""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks import torch_nets, torch_ops
from benchmarks.gpu_blocks import Block, copies

Prepared = tuple[Callable[[], Any], dict[str, Any]]
WARM = 3


def about(settings: dict[str, Any]) -> dict[str, Any]:
    """Versions and device. Raises RuntimeError where the device is not there."""
    on_gpu = settings["device"] == "cuda"
    if on_gpu and not torch.cuda.is_available():
        raise RuntimeError("PyTorch sees no GPU")
    return {
        "version": torch.__version__,
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "cudnn": torch.backends.cudnn.version() if on_gpu else None,
    }


def prepare(settings: dict[str, Any], work: dict[str, Any]) -> Prepared:
    """What `work` names, in work["variant"]: eager, compile or graph."""
    device = settings["device"]
    torch.set_default_device(device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = work["tf32"]
    torch.backends.cudnn.benchmark = True
    step, facts = KINDS[work["kind"]](settings, work)
    if work["variant"] == "graph" and device == "cuda":
        step = _captured(step)
    if device != "cuda":
        return Block(step, work["count"], lambda: None), facts

    def mark() -> Any:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    return Block(step, work["count"], torch.cuda.synchronize, mark, lambda a, b: a.elapsed_time(b) / 1e3), facts


def _captured(step: Callable[[], Any]) -> Callable[[], Any]:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def _step(settings: dict[str, Any], work: dict[str, Any]) -> Prepared:
    variant = {
        "threads": settings["threads"],
        "channels_last": work["channels_last"],
        "fused": settings["device"] == "cuda",
        "capturable": work["variant"] == "graph" and settings["device"] == "cuda",
        "compile": work["variant"] == "compile",
        "bf16": False,
    }
    torch._dynamo.reset()  # what was compiled for the work before is not looked at again
    return torch_nets.prepare(variant, work | {"kind": "step"})


def _op(settings: dict[str, Any], work: dict[str, Any]) -> Prepared:
    """Over as many sets of arrays as minigan's side goes round in."""
    variant = {"threads": settings["threads"], "channels_last": work["channels_last"]}
    given = work | {"kind": work["op"]}
    calls = [torch_ops.prepare(variant, given)[0] for _ in range(copies(work["bytes"]))]

    def all_of_them() -> None:
        for call in calls:
            call()

    return all_of_them, {"calls": len(calls)}


KINDS = {"step": _step, "op": _op}
