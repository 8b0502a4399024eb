"""The seeded bugs, and the list of them in docs/seeded-bugs.md, which this file writes when it is run."""

from pathlib import Path

import bugs_condition
import bugs_cyclegan
import bugs_features
import bugs_nets
import bugs_oracle
import bugs_restore
import bugs_second
import bugs_vae
from seeding import Bug

_FAMILIES = (bugs_oracle, bugs_nets, bugs_second, bugs_features, bugs_cyclegan, bugs_condition, bugs_restore, bugs_vae)
_PARTS = [family.BUGS for family in _FAMILIES]
_FILES = dict.fromkeys(file for part in _PARTS for file in part)  # each once, in this order

BUGS = [Bug(what, file, *rest) for file in _FILES for part in _PARTS for what, *rest in part.get(file, ())]

_HEAD = """\
# Seeded bugs, and which check sees which

A check that was never seen failing is not one. Each row is a bug that `tests/test_seeded_bugs.py` plants in the running
code, and checks of the standing suite that must then fail (they may not be the only ones):

- `gradcheck`: a row of `minigan gradcheck`, derivatives against differences and the complex step
- `naive`: a row of `tests/cases.py`, the oracle against plain loops
- `wiring`: a test of `tests/test_wiring.py`, the GAN step
- `cyclegan`: a test of `tests/test_cyclegan.py`, the CycleGAN step
- `second`: a test of `tests/test_second.py`, tangent passes and penalties
- `regular`: a test of `tests/test_regular.py`, augmentation, consistency, feature matching
- `spectral`: a test of `tests/test_spectral.py`, spectral normalisation
- `conditional`: a test of `tests/test_conditional.py`, labels and codes
- `features`: a test of `tests/test_features.py`, what is learned from inner layers
- `layers`: a test of `tests/test_layers.py`, layers, nets, optimizers

This list is written by `python tests/seeded_bugs.py`; a test keeps it current.
"""


def document() -> str:
    """The text of docs/seeded-bugs.md."""
    lines, file = [_HEAD, f"{len(BUGS)} bugs."], ""
    for bug in BUGS:
        if bug.file != file:
            file = bug.file
            lines += ["", f"## minigan/{file}", "", "| in | bug | seen by |", "|---|---|---|"]
        lines.append(f"| `{bug.place}` | {bug.what} | {'; '.join(bug.checks)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (Path(__file__).resolve().parents[1] / "docs" / "seeded-bugs.md").write_text(document(), "utf-8")
