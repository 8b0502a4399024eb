"""benchmarks.gpu and gpu.sh as far as they go without a GPU: what is timed, what is left out, tables, refusals."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import PYTHON, environment

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

from benchmarks import gpu, gpu_table, works  # noqa: E402
from benchmarks.gpu_blocks import L2_BYTES, MOST_COPIES, Block, copies  # noqa: E402
from benchmarks.processes import Failed  # noqa: E402
from minigan.errors import MiniganError  # noqa: E402


def test_a_block_waits_once_and_takes_the_devices_time_between_its_ends() -> None:
    seen: list[str] = []
    marks = iter([10.0, 16.0, 20.0, 29.0])
    block = Block(
        lambda: seen.append("step"), 3, lambda: seen.append("wait"), lambda: next(marks), lambda a, b: b - a
    )  # fmt: skip
    block(), block()
    assert seen == ["step", "step", "step", "wait"] * 2
    assert block.take(2) == [6.0, 9.0] and block.take(1) == [9.0]


def test_sets_of_arrays_are_more_than_the_cache_holds() -> None:
    assert copies(2 * L2_BYTES) == 1 and copies(1 << 20) * (1 << 20) >= 2 * L2_BYTES
    assert copies(4) == MOST_COPIES


class FakeWorker:
    """A device where a graph's step takes 1 ms, TF32 half, PyTorch 4 ms; compiling fails."""

    def __init__(self, side: str, settings: dict[str, Any], python: str = "", **variables: str):
        self.side, self.tf32 = side, variables.get("MINIGAN_PLAN") == "cublas_tf32"

    def ask(self, what: str, given: Any = None) -> Any:
        if what == "about":
            return {"version": "1", "device": ["a GPU, 80 GiB", "cupy 14"]}
        if what == "prepare":
            if given.get("variant") == "compile":
                raise Failed("the compiler gave up")
            self.work = given
            sizes = {"bytes": 2 * given.get("bytes", 1000), "flops": 3000, "implementation": "numba", "calls": 4}
            return sizes if given["kind"] in ("op", "copy") else {"parameters": [1, 2]}
        each = (0.004 if self.side == "gpu_torch" else 0.001) * (0.5 if self.tf32 or self.work.get("tf32") else 1.0)
        return [each * self.work["count"] * (1.0 if what == "take" else 1.25)] * given

    def __enter__(self) -> "FakeWorker":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the whole program writes on the fake device."""
    monkeypatch.setattr(gpu, "Worker", FakeWorker)
    gpu.gpu(seconds=1000, out=tmp_path, checks="9 passed", torch_python="")
    (file,) = tmp_path.glob("*.json")
    assert file.name.endswith("-a-gpu-gpu.json")
    found = json.loads(file.read_text())
    text = file.with_suffix(".txt").read_text()
    assert text == gpu_table.text(found) + "\n" and text in capsys.readouterr().out
    return found


def test_every_step_and_op_has_its_row(result: dict[str, Any]) -> None:
    keys = [(row["name"], row["batch"], row["precision"]) for row in result["steps"]]
    assert keys == [(n, b, p) for n in ("DCGAN", "MLP GAN") for b in (64, 256, 1024) for p in ("float32", "tf32")]
    row = result["steps"][0]
    formats = ["PyTorch eager", "PyTorch graph", "PyTorch eager, channels-last", "PyTorch graph, channels-last"]
    assert list(row["sides"]) == ["minigan graph", "minigan, graphs alone", "minigan eager", *formats]
    assert list(result["steps"][-1]["sides"])[3:] == formats[:2], "no images, no memory format"
    assert row["sides"]["minigan graph"]["host"]["median_s"] == pytest.approx(0.00125)
    assert row["sides"]["minigan graph"]["device"]["median_s"] == pytest.approx(0.001)
    products = sum(row["op"] in works.PRODUCTS for row in works.GPU_OPS)
    assert len(result["ops"]) == len(works.GPU_OPS) + products, "products in both precisions"
    op = next(row for row in result["ops"] if row["precision"] == "tf32")
    assert op["gflop_per_s"] == pytest.approx(3000 / (0.0005 / 4) / 1e9)
    assert op["gemm_share"] == pytest.approx(op["gflop_per_s"] / result["ceilings"]["tf32_gflop_per_s"])
    assert result["checks"] == "9 passed" and result["pytorch"]["version"] == "1"


def test_ceilings_are_the_best_of_both_sides(result: dict[str, Any]) -> None:
    n = works.GEMM_SIDE
    assert result["ceilings"] == pytest.approx({
        "copy_gb_per_s": 2 * works.COPY_BYTES / (0.001 / 4) / 1e9,
        "float32_gflop_per_s": 2 * n**3 / (0.001 / 4) / 1e9,
        "tf32_gflop_per_s": 2 * n**3 / (0.0005 / 4) / 1e9,
    })  # fmt: skip


def test_what_failed_is_left_out_and_named(result: dict[str, Any]) -> None:
    whys = set(result["left_out"].values())
    assert whys == {"the compiler gave up"} and len(result["left_out"]) == 12
    assert "DCGAN, batch 64, float32: PyTorch compile" in result["left_out"]
    assert "left out: DCGAN, batch 64, float32: PyTorch compile: the compiler gave up" in gpu_table.text(result)


def test_without_time_nothing_is_begun_and_the_run_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu, "Worker", FakeWorker)
    with pytest.raises(MiniganError, match="not every step"):
        gpu.gpu(seconds=-1, out=tmp_path, torch_python="")
    (file,) = tmp_path.glob("*.json")
    assert set(json.loads(file.read_text())["left_out"].values()) == {"no time was left"}


def test_the_table_compares_with_pytorchs_best_memory_format(result: dict[str, Any]) -> None:
    result["steps"] = result["steps"][:1]
    result["steps"][0]["sides"]["PyTorch graph, channels-last"]["host"]["median_s"] = 0.0025
    lines = gpu_table.text(result).splitlines()
    (line,) = [line for line in lines if "minigan graph" in line]
    assert line.split()[-6:] == ["1000", "1250", "1250", "1250", "4.00", "2.00"]
    assert lines[0] == "a GPU, 80 GiB" and "checks: 9 passed" in lines
    (op,) = [line for line in lines if line.startswith("Adam, 32")]
    assert op.split()[-7:-4] == ["250", "1000", "4.00"]


def test_a_result_of_another_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"what": "step"}')
    with pytest.raises(MiniganError, match=r"no result of benchmarks\.gpu"):
        gpu_table.main(tmp_path / "r.json")


def script(*args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "benchmarks" / "gpu.sh", *args], env={**os.environ, **variables}, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--fast"], "--fast is no option; known: --out FOLDER, --python PROGRAM, --help"),
        (["--out"], "--out needs a value"),
        (["--python", "/no/python"], "/no/python cannot be started"),
    ],
)
def test_the_script_refuses_a_mistake_in_one_line(args: list[str], words: str) -> None:
    done = script(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gpu.sh: ") and words in done.stderr and done.stderr.count("\n") == 1


def test_the_script_ends_in_one_line_where_there_is_no_gpu(tmp_path: Path) -> None:
    if not _why_not():
        pytest.skip("there is a GPU")
    done = script("--python", sys.executable, "--out", str(tmp_path / "out"), NUMBA_ENABLE_CUDASIM="1")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"gpu.sh: no GPU to run on: {_why_not()}\n" and not (tmp_path / "out").exists()


def _why_not() -> str:
    program = "from minigan import backends\ntry: backends.load('cuda')\nexcept Exception as e: print(e)"
    variables = {k: v for k, v in environment().items() if k != "NUMBA_ENABLE_CUDASIM"}
    done = subprocess.run([*PYTHON, "-c", program], env=variables, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_scripts_help_is_its_head() -> None:
    done = script("--help")
    assert done.returncode == 0 and done.stdout.startswith("All that only an NVIDIA GPU can show")
    assert "Exit status: 0 all is well" in done.stdout and "set -e" not in done.stdout


@pytest.mark.slow
def test_the_whole_program_on_the_simulator(tmp_path: Path) -> None:
    pytest.importorskip("numba_cuda")
    pytest.importorskip("greenlet")
    variables = environment(NUMBA_ENABLE_CUDASIM="1")
    variables["PYTHONPATH"] += f":{ROOT}"
    done = subprocess.run(
        [*PYTHON, "-m", "benchmarks.gpu", "--trial", "--out", str(tmp_path), "--seconds", "500"],
        env=variables, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=550,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("*-the-simulator-gpu.json")
    found = json.loads(file.read_text())
    (step,), (op,) = found["steps"], found["ops"]
    assert set(gpu.MINIGAN) <= set(step["sides"]) and op["minigan"]["facts"]["flops"] == 2 * 3 * 5 * 2
    assert found["ceilings"].keys() == {"copy_gb_per_s", "float32_gflop_per_s"}
