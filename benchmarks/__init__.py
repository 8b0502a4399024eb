"""Benchmarks: minigan beside PyTorch. Run from the repository's root: `python -m benchmarks.step`, `benchmarks.ops`."""
