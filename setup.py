"""The C++ extension; everything else about the package is in pyproject.toml."""

import os
import shutil
from glob import glob
from typing import Any

from setuptools import find_packages, setup
from setuptools.command.build_ext import build_ext

PLAIN = os.environ.get("MINIGAN_NO_EXT") == "1"  # then nothing is compiled, and pybind11 may be missing
WITHOUT = "or set MINIGAN_NO_EXT=1 to install without the C++ backend"
FLAGS = ["-O3", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra"]  # never -ffast-math, never -march=native


class BuildExt(build_ext):
    """Says in one line what to do when there is no compiler."""

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            raise SystemExit(
                f"minigan: the C++ backend is built with GCC or Clang, not MSVC; use one of them, {WITHOUT}"
            )
        command = self.compiler.compiler_cxx[0]
        if shutil.which(command) is None:
            raise SystemExit(f"minigan: no C++ compiler: {command!r} was not found; install g++ or set CXX, {WITHOUT}")
        super().build_extensions()


def extensions() -> list[Any]:
    """The one extension, its files compiled side by side."""
    from pybind11.setup_helpers import ParallelCompile, Pybind11Extension

    ParallelCompile().install()
    return [
        Pybind11Extension(
            "minigan._cpp",
            sorted(glob("csrc/*.cpp")),
            depends=sorted(glob("csrc/*.h") + glob("csrc/*.inl")),
            cxx_std=17,
            define_macros=[("PYBIND11_ASSERT_GIL_HELD_INCREF_DECREF", None)],  # a slip without the GIL always raises
            extra_compile_args=FLAGS,
        )
    ]


setup(
    packages=[*find_packages(include=["minigan", "minigan.*"]), "minigan.csrc"],
    package_dir={"minigan.csrc": "csrc"},
    ext_modules=[] if PLAIN else extensions(),
    cmdclass={"build_ext": BuildExt},
)
