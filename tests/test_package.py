"""What a build leaves behind: instruction sets kept apart in the objects, the wheel's files and metadata, refusals."""

import email
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CSRC = ROOT / "csrc"
SOURCES = sorted(p.stem for p in CSRC.glob("*.cpp"))
CARRIED = {p.name for p in CSRC.iterdir() if p.is_file()}
WIDE = {"isa_avx512": "zmm", "isa_avx2": "ymm"}  # each must use these registers, or it was not compiled for its set
linux_x86 = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the instruction sets are those of Linux x86-64"
)
COMPILER = (os.environ.get("CXX") or sysconfig.get_config_var("CXX") or "c++").split()[0]

pytest.importorskip("setuptools", minversion="77", reason="building needs setuptools >= 77")
pytest.importorskip("pybind11", minversion="3.1", reason="building needs pybind11 >= 3.1")

ALONE = """
import sys
sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in repr(f)]
"""  # the environment that runs the tests may hold an editable minigan, which would answer for what a wheel lacks

DESCRIBE = """
import json, setuptools
from distutils.core import run_setup
e = run_setup("setup.py", stop_after="init").ext_modules[0]
print(json.dumps([e.extra_compile_args, e.include_dirs]))
"""


def python(code: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=os.environ | env, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build reads, so that no build product lands in the repository."""
    copy = tmp_path_factory.mktemp("source") / "minigan"
    copy.mkdir()
    skip = shutil.ignore_patterns("__pycache__", "*.so", "*.pyc")
    for name in ("minigan", "csrc"):
        shutil.copytree(ROOT / name, copy / name, ignore=skip)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def objects(tree: Path) -> dict[str, Path]:
    """Each source compiled with setup.py's own flags; by the source's name."""
    for tool in (COMPILER, "nm", "objdump"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    run = python(DESCRIBE, tree)
    assert run.returncode == 0, run.stderr
    flags, includes = json.loads(run.stdout.splitlines()[-1])
    where = [f"-I{d}" for d in (*includes, sysconfig.get_path("include"))]

    def compiled(name: str) -> tuple[str, Path]:
        target = tree / f"{name}.o"
        command = [COMPILER, "-fPIC", *flags, *where, "-c", str(tree / "csrc" / f"{name}.cpp"), "-o", str(target)]
        made = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert made.returncode == 0, f"{' '.join(command)}\n{made.stderr}"
        assert "warning" not in made.stderr, made.stderr
        return name, target

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(compiled, SOURCES))


def symbols(path: Path) -> list[tuple[str, str]]:
    """(kind, name) of every symbol; an upper-case kind is global, U undefined, V W u weak or unique."""
    out = subprocess.run(["nm", "-C", str(path)], capture_output=True, text=True, check=True).stdout
    return [(line[17:18], line[19:]) for line in out.splitlines()]


def test_the_flags_keep_floating_point_honest(tree):
    flags = " ".join(json.loads(python(DESCRIBE, tree).stdout.splitlines()[-1])[0])
    assert "-O3" in flags and "-ffp-contract=off" in flags and "-std=c++17" in flags
    assert not re.search(r"fast-math|-Ofast|-march|-mtune|-mavx|unsafe-math|associative", flags), flags


@linux_x86
@pytest.mark.parametrize("name", [n for n in SOURCES if n.startswith("isa_")])
def test_an_isa_object_exports_its_table_alone(objects, name):
    found = symbols(objects[name])
    exported = [symbol for kind, symbol in found if kind in "ABCDGRST"]
    weak = [symbol for kind, symbol in found if kind in "VWuvwi"]
    assert exported == [f"minigan::kernels_{name.removeprefix('isa_')}"]
    assert weak == []


@linux_x86
@pytest.mark.parametrize("name", SOURCES)
def test_an_object_uses_its_own_instruction_set_and_no_better(objects, name):
    """By an instruction's first byte: 62 is EVEX (AVX-512, also on narrow registers), c4 and c5 are VEX (AVX)."""
    assembly = subprocess.run(
        ["objdump", "-d", "--insn-width=16", str(objects[name])], capture_output=True, text=True, check=True
    ).stdout
    encodings = set(re.findall(r"^ +[0-9a-f]+:\t(62|c4|c5) ", assembly, re.M))
    registers = set(re.findall(r"%([xyz]mm)\d", assembly))
    allowed = {"isa_avx512": {"62", "c4", "c5"}, "isa_avx2": {"c4", "c5"}}.get(name, set())
    assert encodings <= allowed, f"{name} would need more than its machine has"
    assert WIDE.get(name, "xmm") in registers | {"xmm"}, "compiled without its instruction set"
    assert "zmm" not in registers or name == "isa_avx512"


@linux_x86
def test_fma_appears_only_where_it_is_written(objects):
    """adam_step promises NumPy's bits: no fused multiply-add in it, while tanh has many."""
    for name in WIDE:
        assembly = subprocess.run(
            ["objdump", "-dC", "--no-show-raw-insn", str(objects[name])], capture_output=True, text=True, check=True
        ).stdout
        bodies = dict(re.findall(r"^[0-9a-f]+ <(.*)>:\n((?:.+\n)*)", assembly, re.M))
        adam = [body for symbol, body in bodies.items() if "adam_step" in symbol]
        act = [body for symbol, body in bodies.items() if "apply<" in symbol and "tanh" in symbol]
        assert adam and not any("fmadd" in body or "fnmadd" in body for body in adam), name
        assert act and any("fmadd" in body for body in act), name


@pytest.fixture(scope="module")
def wheel(tree: Path) -> zipfile.ZipFile:
    """The wheel of MINIGAN_NO_EXT=1, built by the backend that pip would call, without the network."""
    code = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    run = python(code, tree, MINIGAN_NO_EXT="1")
    assert run.returncode == 0, run.stderr
    return zipfile.ZipFile(tree / "dist" / run.stdout.splitlines()[-1])


def test_the_wheel_without_extension_is_pure(wheel):
    assert wheel.filename is not None and wheel.filename.endswith("-py3-none-any.whl")
    assert [n for n in wheel.namelist() if n.endswith((".so", ".pyd", ".dylib"))] == []


def test_the_wheel_carries_all_it_needs(wheel):
    """Every module, the C++ sources, the presets, the digits with their attribution, the typing marker; the report's
    page, its plotting library and that one's licence."""
    files = set(wheel.namelist())
    modules = {str(p.relative_to(ROOT)) for p in (ROOT / "minigan").rglob("*.py")}
    sources = {f"minigan/csrc/{name}" for name in CARRIED}
    patterns = ("presets/*.toml", "data/*.npz", "data/*.md", "study/report/page/*", "study/report/uplot/*")
    data = {str(p.relative_to(ROOT)) for pattern in patterns for p in (ROOT / "minigan").glob(pattern)}
    assert {Path(p).suffix for p in data} == {".toml", ".npz", ".md", ".html", ".css", ".js", ""}, data
    assert sorted((modules | sources | data | {"minigan/py.typed"}) - files) == []
    assert sorted(n for n in files if n.startswith(("tests/", "benchmarks/", "csrc/", "setup"))) == []


def test_the_metadata_names_licence_python_and_command(wheel):
    folder = next(n.split("/")[0] for n in wheel.namelist() if ".dist-info/" in n)
    metadata = email.message_from_bytes(wheel.read(f"{folder}/METADATA"))
    assert (metadata["Name"], metadata["License-Expression"], metadata["Requires-Python"]) == (
        "minigan",
        "MIT",
        ">=3.11",
    )
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()
    core = {re.match(r"[\w-]+", r)[0] for r in metadata.get_all("Requires-Dist", []) if "extra ==" not in r}
    assert core == {"numpy", "pillow", "safetensors", "typer", "rich", "matplotlib"}
    extras = set(metadata.get_all("Provides-Extra", []))
    assert extras == {"test", "dev", "bench", "cuda", "cuda12", "cudasim", "eval", "export"}
    assert "minigan = minigan.cli:main" in wheel.read(f"{folder}/entry_points.txt").decode()


def test_the_pure_package_runs_and_says_that_cpp_is_missing(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = f"""{ALONE}
import minigan
assert minigan.__file__.startswith({str(tmp_path)!r}), minigan.__file__
from minigan.backends import load
load("numpy")
import minigan.backends.cpp
"""
    run = python(code, tmp_path, PYTHONPATH=str(tmp_path))
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("minigan.errors.BackendError: the cpp backend needs"), run.stderr


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_an_installed_minigan_finds_its_cpp_sources(tree, tmp_path, kind):
    built = python(
        f"from setuptools import build_meta; print(build_meta.build_{kind}('dist'))", tree, MINIGAN_NO_EXT="1"
    )
    assert built.returncode == 0, built.stderr
    zipfile.ZipFile(tree / "dist" / built.stdout.splitlines()[-1]).extractall(tmp_path)
    code = f"""{ALONE}
import site
sys.path.insert(0, {str(tmp_path)!r})
site.addsitedir({str(tmp_path)!r})
from importlib.resources import files
print(*(p.name for p in files("minigan.csrc").iterdir() if p.is_file()))
"""
    run = python(code, tmp_path)
    assert set(run.stdout.split()) == CARRIED, run.stderr


def test_a_missing_compiler_is_one_clear_line(tree):
    code = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    run = python(code, tree, CXX="no-such-compiler")
    said = [line for line in run.stderr.splitlines() if "minigan:" in line]
    assert run.returncode == 1 and len(said) == 1, run.stderr
    assert "Traceback" not in run.stderr
    assert all(word in said[0] for word in ("no C++ compiler", "'no-such-compiler'", "MINIGAN_NO_EXT=1")), said


def test_the_source_distribution_is_complete(tree, tmp_path):
    """Headers and .inl files too: what pip gets from a source archive must compile."""
    run = python("from setuptools import build_meta; print(build_meta.build_sdist('dist'))", tree)
    assert run.returncode == 0, run.stderr
    shutil.unpack_archive(tree / "dist" / run.stdout.splitlines()[-1], tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    assert {p.name for p in (unpacked / "csrc").iterdir()} >= CARRIED
    assert list((unpacked / "minigan" / "presets").glob("*.toml"))
