#!/usr/bin/env bash
# All that only an NVIDIA GPU can show, in one command and less than 8 minutes: the tests marked gpu, then steps and ops
# beside PyTorch. Needs no network: minigan is installed from this tree into a folder of its own, and what else is
# missing (a compiler, pytest, PyTorch) is named and done without.
#
#   benchmarks/gpu.sh [--out FOLDER] [--python PROGRAM]
#
# Writes FOLDER/DATE-GPU-gpu.json and .txt; FOLDER is benchmarks/results. Exit status: 0 all is well, 1 a check failed or
# a step could not be measured, 2 a mistake in the command, 3 there is no GPU to run on.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/benchmarks/results python=python3
budget_s=465 build_s=100 checks_s=180

fail() {
  printf 'gpu.sh: %s\n' "$2" >&2
  exit "$1"
}

while [ $# -gt 0 ]; do
  case $1 in
    --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --out | --python)
      [ $# -ge 2 ] || fail 2 "$1 needs a value; see --help"
      if [ "$1" = --out ]; then out=$2; else python=$2; fi
      shift 2
      ;;
    *) fail 2 "$1 is no option; known: --out FOLDER, --python PROGRAM, --help" ;;
  esac
done

command -v "$python" >/dev/null || fail 2 "$python cannot be started; give a Python 3.11 or newer by --python"
unset NUMBA_ENABLE_CUDASIM MINIGAN_PLAN # the simulator is no GPU, and a forced plan no default
cd "$root"
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
export PYTHONPATH=$root PYTHONDONTWRITEBYTECODE=1

has() { "$python" -P -c "import $1" 2>/dev/null; }

[ "$("$python" -c 'import sys; print(sys.version_info >= (3, 11))' 2>/dev/null)" = True ] ||
  fail 2 "$python is no Python 3.11 or newer; give one by --python"
has numpy || fail 2 "$python has no numpy; give another Python by --python"
why=$("$python" -P -c 'from minigan import backends; backends.load("cuda")' 2>&1) || { # a warning alone is no failure
  why=${why##*$'\n'}
  fail 3 "no GPU to run on: ${why#minigan.errors.BackendError: }"
}

missing=()
for module in typer rich torch pybind11 safetensors PIL matplotlib pytest pytest_timeout hypothesis pip; do
  has "$module" || missing+=("$module")
done
[ ${#missing[@]} -eq 0 ] || echo "done without: ${missing[*]}"

echo "== install from $root (${SECONDS} s so far)"
install() { timeout "$build_s" "$python" -m pip install -q --no-build-isolation --no-deps --target "$site" .; }
if [ "${MINIGAN_NO_EXT:-}" != 1 ] && has pybind11 && command -v "${CXX:-g++}" >/dev/null && install; then
  echo "with the C++ backend"
elif MINIGAN_NO_EXT=1 install; then
  echo "without the C++ backend: it needs pybind11, a compiler and $build_s seconds, and no MINIGAN_NO_EXT=1"
else
  echo "not installed: run from the source folder"
fi
export PYTHONPATH=$site:$root

echo "== checks (${SECONDS} s so far)"
if has pytest && has pytest_timeout && has hypothesis; then
  checks=("$python" -P -m pytest -q -m gpu -p no:cacheprovider tests/test_gpu.py)
else
  checks=("$python" -P tests/gpu_checks.py)
fi
log=$site/checks.log status=0
timeout "$checks_s" "${checks[@]}" 2>&1 | tee "$log" || status=$?
said=$(grep -E '[0-9]+ (passed|failed)' "$log" | tail -n 1) || true
[ "$status" -eq 0 ] || said="${said:-no summary} (exit status $status)"

echo "== benchmarks (${SECONDS} s so far)"
has typer && has rich || fail 1 "the benchmarks need typer and rich; the checks said: $said"
measured=0
"$python" -P -m benchmarks.gpu --seconds $((budget_s - SECONDS)) --out "$out" --checks "$said" || measured=$?

echo "== done (${SECONDS} s): checks: $said"
[ "$status" -eq 0 ] && [ "$measured" -eq 0 ] || exit 1
