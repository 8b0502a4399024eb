"""minigan without the extra `eval` still trains: nothing needs its libraries until samples are judged."""

import subprocess

from processes import PYTHON, environment

CODE = """
import sys
for name in ("scipy", "sklearn", "onnxruntime"):
    sys.modules[name] = None  # from now on its import fails
import minigan.cli
import minigan.evaluate.features
import minigan.metrics.modes
"""


def test_minigan_is_imported_without_the_extra() -> None:
    for more, status in (("", 0), ("import minigan.metrics.frechet", 1)):
        done = subprocess.run(
            [*PYTHON, "-c", CODE + more], env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr
