"""Training of flow-matching models, one or several at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from adtoolkit.cfm_config import CfmConfig
from adtoolkit.errors import DataError
from adtoolkit.interfaces import FitTask
from adtoolkit.nn import together, training
from adtoolkit.nn.cfm import FlowMatchingLoss
from adtoolkit.nn.cfm_model import CfmModel
from adtoolkit.nn.integration import Integration
from adtoolkit.nn.plan import TrainingPlan
from adtoolkit.nn.tools import isolated_rng, seed_from, torch_device
from adtoolkit.nn.velocity import VelocityNetwork, build
from adtoolkit.types import Sample

_PLAN = {
    "steps", "epochs", "batch", "lr", "weight_decay", "schedule", "ema", "validate_every", "validate_from", "patience", "keep",
}  # fmt: skip


#: Training events in a period of the highest frequency of the mass, between its quartiles: what an anchor rests on. With fewer the model
#: learns single events by heart, and an interpolation between two such places is wrong in between.
_RESOLVED: Final = 10_000


@dataclass(frozen=True)
class _Untrained:
    """A network before its training, and what its model will need to be told."""

    network: VelocityNetwork
    options: dict[str, Any]
    mass_range: tuple[float, float]


def fit_cfm(config: CfmConfig, tasks: Sequence[FitTask], *, most: int = 0) -> list[CfmModel]:
    """A model of p(x | m) per task, in order.

    Tasks are trained as one stack where that gives the same models, see `adtoolkit.nn.together`, and where it is faster:
    one after another else. First weights, order of the events and noise of a task come from its own context, so that a
    model does not depend, but for rounding, on what it was trained with.

    Args:
        config: Options of all of them.
        tasks: Events and context of each.
        most: Largest stack; 1 trains one after another, 0 takes as many as pay on the device.

    Raises:
        DataError: if a task has no events, events that are not finite, or one mass alone.
        RunError: if a loss stops being a finite number.
    """
    plan = TrainingPlan(freeze_epoch=config.frozen_from, **config.model_dump(include=_PLAN))
    loss = FlowMatchingLoss(config.sigma_min)
    starts = [_untrained(config, task) for task in tasks]
    left = list(range(len(tasks)))
    if not config.dropout and config.norm != "batch" and together.same_as_alone(plan):
        device = torch_device(tasks[0].ctx.device) if tasks else torch.device("cpu")
        for group in _stacks(plan, starts, tasks, config.hidden, device, most):
            good = together.train_together(
                [starts[i].network for i in group], loss, [tasks[i].train for i in group], plan, [tasks[i].ctx for i in group]
            )
            left = [i for i in left if i not in group or not good[group.index(i)]]
            for i in set(left) & set(group):  # the ordinary training knows what to do with steps that are not finite
                tasks[i].ctx.note("This training, one of a stack, did not stay finite: it is done again alone.")
                starts[i] = _untrained(config, tasks[i])
    for i in left:
        training.train(starts[i].network, loss, tasks[i].train, tasks[i].val, plan, tasks[i].ctx)
    integration = Integration(config.solver, config.solver_steps, config.density_steps, config.trace)
    return [CfmModel(start.network, start.options, start.mass_range, integration) for start in starts]


def octaves(m: NDArray[np.floating]) -> int:
    """Octaves of an embedding of masses [N] whose highest frequency still has ten thousand events to a period.

    The more octaves, the closer a model keeps a signal to its own mass, and the fewer events decide what it is like at one anchor.
    """
    first, third = np.quantile(m, (0.25, 0.75))
    if not third > first:
        return 1
    whole = 4 * float(m.max() - m.min()) * 0.5 * len(m) / float(third - first)  # events to a period, times 2 to the power of the octaves
    return int(np.clip(np.log2(max(whole / _RESOLVED, 1.0)), 1, 16))


def _stacks(
    plan: TrainingPlan, starts: Sequence[_Untrained], tasks: Sequence[FitTask], width: int, device: torch.device, most: int
) -> Iterator[list[int]]:
    """Which trainings to stack, among networks of one shape."""
    for shape in dict.fromkeys(start.options["mass_frequencies"] for start in starts):
        alike = [i for i, start in enumerate(starts) if start.options["mass_frequencies"] == shape]
        for group in together.groups(plan, [len(tasks[i].train) for i in alike], width, device, most):
            yield [alike[i] for i in group]


def _untrained(config: CfmConfig, task: FitTask) -> _Untrained:
    """The first weights of a task; bad events are refused here, before anything is trained."""
    train = task.train
    if not len(train):
        raise DataError("There are no events to train on.", "Check the window and the cuts.")
    for name, sample in (("training", train), ("validation", task.val)):
        _check(sample, name)
    lo, hi = float(train.m.min()), float(train.m.max())
    if not lo < hi:
        raise DataError(f"All {len(train)} training events have the mass {lo:g}: p(x | m) needs a range of masses.", "Choose another m.")
    options = config.network(train.x.shape[1], octaves(train.m))
    if config.mass_embedding == "raw":
        scale = (float(train.m.mean(dtype="f8")), float(train.m.std(dtype="f8")))
    else:
        scale = ((lo + hi) / 2, hi - lo)
    with isolated_rng(seed_from(task.ctx.rng("initial weights"))):
        network = build(options, scale)
    device = torch_device(task.ctx.device)
    network.mixed = config.precision == "bfloat16" or (config.precision == "auto" and has_fast_bfloat16(device))
    # the range that anchors are checked against includes the validation events: the same as all that a check sees before
    known = (float(task.val.m.min(initial=lo)), float(task.val.m.max(initial=hi)))
    return _Untrained(network, options, known)


def check_conditions(sample: Sample, what: str = "") -> None:
    """Refuse conditions besides m.

    Raises:
        DataError: if there are any.
    """
    if sample.context is not None and sample.context.shape[1]:
        raise DataError(
            f"The {f'{what} ' if what else ''}events have {sample.context.shape[1]} conditions besides m, but this network sees m alone.",
            "Leave the further conditions out, use them as features, or choose an estimator that sees them.",
        )


def _check(sample: Sample, what: str) -> None:
    check_conditions(sample, what)
    for name, array in (("x", sample.x), ("m", sample.m), ("weight", sample.weights)):
        if bad := int((~np.isfinite(array)).sum()):
            raise DataError(
                f"The {what} events have {bad} values in {name} that are not finite numbers.", "Drop those events: --drop-invalid"
            )
    if len(sample) and (sample.weights.min() < 0 or not sample.weights.any()):
        raise DataError(f"The {what} events have negative weights or none above zero.", "Use weights that are zero or larger.")


def arithmetic(config: CfmConfig, device: str) -> str:
    """Where the machine chooses, and has no bfloat16 in hardware, that it does without: such models are not those of one that has."""
    return "" if config.precision != "auto" or has_fast_bfloat16(torch_device(device)) else "float32"


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware: CPUs with AMX, and GPUs since Ampere."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":  # older torch cannot tell: float32
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(capabilities.get("amx_bf16"))
    return False
