"""What a run says before it starts."""

from collections.abc import Iterator

from minigan.config import Config
from minigan.tasks import Task
from minigan.training.plans import unmatched


def cautions(config: Config, total: int, task: Task) -> Iterator[str]:
    """What a user may not expect of a configuration that is allowed."""
    for name, o in ((name, o.config) for name, o in task.optimizers.items()):
        if o.schedule in ("linear", "cosine") and o.horizon < total and o.floor == 0:
            yield f"{name}.schedule {o.schedule} is at 0 from step {o.horizon} of {total} on; see {name}.horizon"
    for net in task.nets.values():
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
    yield from task.cautions()
