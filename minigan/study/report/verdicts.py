"""What there is to say about a run's health: minigan diagnose, in a few lines."""

from minigan.errors import ConfigError, DataError
from minigan.evaluate.asked import extra
from minigan.study.report.opened import Opened
from minigan.training import log
from minigan.training.reporter import Counting, Reporter, uncounted
from minigan.training.verdicts import WORDS, in_short


def verdict(run: Opened, reporter: Reporter | None = None, counting: Counting = uncounted) -> str | None:
    """The verdict, in the lines after it what to try and every figure; None of a run that is no GAN.

    By the log alone without the extra `eval`, and where data has too few rows to hold samples against. `reporter` sees
    a classifier train, where there is none yet of this data.
    """
    if run.config.task.name != "gan":
        return None
    try:
        with extra():
            from minigan.evaluate.diagnose import diagnose
        said = diagnose(run.path, reporter=reporter, counting=counting)
    except (ConfigError, DataError):
        return in_short(run.config, log.read(run.path, ("grad_norm_g", "loss_d")))
    lines = [said["verdict"]]
    for found in said["findings"]:
        lines += [f"{found['verdict']}: {found['says']}", *(f"    try {remedy}" for remedy in found["try"])]
    lines += [f"{WORDS[sign]}: {value:.3g}" for sign, value in said["signs"].items()]
    lines += [f"not looked at: {WORDS[sign]}: {why}" for sign, why in said["not_looked_at"].items()]
    return "\n".join(lines)
