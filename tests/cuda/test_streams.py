"""What the GPU's side of the device layer asks of CuPy's streams, on a CuPy that keeps books (cupy_fake.py)."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cupy_fake import Fake


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The books."""
    made = Fake()
    monkeypatch.setitem(sys.modules, "cupy", made.cupy)
    monkeypatch.setitem(sys.modules, "cupyx", made.cupyx)
    return made


@pytest.fixture
def device(simulated: Any, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The device layer of a GPU."""
    monkeypatch.setattr(simulated.device, "cuda", SimpleNamespace(external_stream=lambda ptr: ptr))
    return simulated.device.CuPy()


def _queued_on(fake: Fake, device: Any) -> Any:
    """The stream that takes what CuPy does by itself."""
    device.copyto(device.empty((3,)), 0)
    (_, empty, _), (_, fill) = fake.log[-2:]
    assert empty is fill
    return fill


def test_what_cupy_does_by_itself_is_queued_on_our_stream_before_and_after_a_recording(fake: Fake, device: Any) -> None:
    assert device.stream is not fake.null and device.launch_stream == device.stream_address == device.stream.ptr
    assert _queued_on(fake, device) is device.stream
    for _ in range(2):
        device.record(lambda: None, device.pool())
        assert _queued_on(fake, device) is device.stream
    with pytest.raises(ZeroDivisionError):
        device.record(lambda: 1 // 0, device.pool())
    assert not device.stream.capturing and not device.recording
    assert _queued_on(fake, device) is device.stream


def test_a_part_is_recorded_on_our_stream_and_in_the_graphs_memory(fake: Fake, device: Any) -> None:
    pool = device.pool()
    fake.null.use()  # as in any thread but the one that made the device

    def part() -> bool:
        assert _queued_on(fake, device) is device.stream
        device.empty((3,))
        assert fake.log[-1] == ("empty", device.stream, pool.malloc)
        return device.recording and device.stream.capturing

    graph, seen = device.record(part, pool)
    device.empty((3,))
    assert seen and fake.log[-1] == ("empty", device.stream, None)
    device.replay(graph)
    assert fake.log[-1] == ("launch", device.stream)


def test_an_upload_goes_beside_our_stream_and_the_copy_behind_it(fake: Fake, device: Any) -> None:
    slot, p = device.slot((3,), np.float32), device.empty((3,))
    uploads = fake.streams[-1]
    assert uploads not in (device.stream, fake.null)
    (_, queued, ours), (_, awaited, beside) = fake.log[-3:-1]
    assert (queued, ours, beside) == (awaited, device.stream, uploads), "the staged memory's former use comes first"
    fake.log.clear()
    device.upload(slot)
    device.place(slot, p)
    assert fake.log == [
        ("upload", uploads),
        ("record", slot.come, uploads),
        ("wait", slot.come, device.stream),
        ("copy", 12, device.stream),
        ("record", slot.gone, device.stream),
    ]


def test_pinned_memory_is_not_given_back_while_it_is_uploaded(fake: Fake, device: Any) -> None:
    """CuPy's pool would hand it to the next slot at once, and the host write there."""
    slot = device.slot((3,), np.float32)
    device.upload(slot)
    come = slot.come
    fake.log.clear()
    del slot
    assert fake.log == [("synchronize", come), ("pinned memory is free",)]
