"""What a run says before it starts."""

from collections.abc import Iterator

from minigan.config import Config
from minigan.tasks.gan import GAN
from minigan.training.plans import unmatched


def cautions(config: Config, total: int, task: GAN) -> Iterator[str]:
    """What a user may not expect of a configuration that is allowed."""
    for name, o in (("g", config.g), ("d", config.d)):
        if o.schedule in ("linear", "cosine") and o.horizon < total and o.floor == 0:
            yield f"{name}.schedule {o.schedule} is at 0 from step {o.horizon} of {total} on; see {name}.horizon"
    for net in (task.G, task.D):
        kept = sum(view.size for name, view in net.layout.views(net.p).items() if name in net.layout.frozen)
        if kept:
            yield f"{net.name}.freeze: {kept:,} of the {net.parameters:,} parameters of {net.name} stay as they are"
    if total < config.train.log_every:
        yield f"no log line and no loss plot: train.log_every is {config.train.log_every}, the run {total} steps"
    if config.penalty.name != "none" and config.train.log_every * config.train.n_critic % config.penalty.every:
        yield (
            f"penalty and critic_grad_norm stand in the log lines whose step had them: train.log_every "
            f"{config.train.log_every} is no multiple of penalty.every {config.penalty.every}"
        )
    if unmatched(config):
        yield f"no row of the plan is for batches of {config.train.batch_size}, so the built-in one serves the steps"
    if not task.loss.probability:
        yield f"loss {config.loss.name}: D(x) and D(G(z)) are D's raw outputs, not probabilities"
