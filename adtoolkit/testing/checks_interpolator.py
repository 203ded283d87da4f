"""Checks of interpolators: binding a model to a window is cheap, leaves the model alone, and changes nothing that did not need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from adtoolkit.capabilities import Cap
from adtoolkit.testing.bundles import answers, base_model, bind, first_bind, points, real_caps, refused, world_of
from adtoolkit.testing.checks import NotApplicable, conformance, require
from adtoolkit.testing.checks_estimator import differing
from adtoolkit.testing.guards import OtherGlobalSeeds
from adtoolkit.testing.subject import lasting
from adtoolkit.testing.worlds import LineModel

if TYPE_CHECKING:
    from adtoolkit.testing.subject import Subject

_CHEAP = 2.0


@conformance("interpolator")
def check_bind_leaves_model_alone(subject: Subject) -> None:
    """Binding a model, and asking the bound one, leaves the model's own answers as they were."""
    model = base_model(subject)
    before = answers(subject, model)
    require(before, "The model under it answers nothing, so nothing can be compared.")
    call = first_bind(subject)
    answers(subject, call.result)
    different = differing(before, answers(subject, model))
    require(not different, f"Of the model itself, {different}.")
    touched = lasting(call, lambda: bind(subject))
    require(not touched, f"Global state changed: {', '.join(touched)}.")


@conformance("interpolator")
def check_bind_is_reproducible(subject: Subject) -> None:
    """Binding the same model twice gives the same answers, wherever the global generators stand."""
    one = answers(subject, first_bind(subject).result)
    with OtherGlobalSeeds():
        other = answers(subject, bind(subject).result)
    different = differing(one, other)
    require(not different, f"Between the two, {different}.")


@conformance("interpolator")
def check_bind_is_cheap(subject: Subject) -> None:
    """Binding takes less than two seconds: nothing is trained."""
    seconds = first_bind(subject).seconds
    require(seconds < _CHEAP, f"It took {seconds:.1f} s.")


@conformance("interpolator")
def check_missing_window_refused(subject: Subject) -> None:
    """Without a window, an interpolator that needs one refuses with an AdtoolError or ValueError; any other binds."""
    model = base_model(subject)

    def without() -> Any:
        return subject.make().bind(model, None, subject.context())

    if Cap.WINDOW in subject.component.needs:
        instead = refused(without)
        require(not instead, f"It needs a window, but without one it {instead}.")
    else:
        without()


@conformance("interpolator")
def check_constant_background_unchanged(subject: Subject) -> None:
    """A background that does not depend on m comes out as it went in: there is nothing to interpolate."""
    flat = LineModel(slope=(0.0, 0.0))
    wanted = frozenset[str]().union(*(needs for needs, _ in subject.component.rules))
    if not wanted <= real_caps(flat):
        reason = f"it needs {', '.join(sorted(wanted - real_caps(flat)))}, which the closed-form model has not"
        raise NotApplicable(reason)
    bound = subject.make().bind(flat, world_of(subject).window, subject.context())
    at = points(subject, 3000)
    x = flat.sample(at.cond, np.random.default_rng(1))
    if Cap.LOG_PROB in real_caps(bound):
        off = float(np.abs(bound.log_prob(x, at.cond) - flat.log_prob(x, at.cond)).max())
        require(off < 0.05, f"log p is off by up to {off:.3f}.")
    if Cap.SAMPLE in real_caps(bound):
        drawn = bound.sample(at.cond, np.random.default_rng(2))
        off = float(max(np.abs(drawn.mean(0)).max(), np.abs(drawn.std(0) - flat.width).max()))
        require(
            off < 0.08, f"The draws have mean {drawn.mean(0).round(3)} and spread {drawn.std(0).round(3)} instead of 0 and {flat.width}."
        )


@conformance("interpolator")
def check_smooth_background_carried(subject: Subject) -> None:
    """A background whose mean moves linearly with m is carried into the window at the right place."""
    moving = LineModel()
    wanted = frozenset[str]().union(*(needs for needs, _ in subject.component.rules))
    if not wanted <= real_caps(moving):
        reason = f"it needs {', '.join(sorted(wanted - real_caps(moving)))}, which the closed-form model has not"
        raise NotApplicable(reason)
    window = world_of(subject).the_window
    bound = subject.make().bind(moving, window, subject.context())
    if Cap.SAMPLE not in real_caps(bound):
        reason = f"what it binds does not offer {Cap.SAMPLE}"
        raise NotApplicable(reason)
    for share in (0.1, 0.5, 0.9):
        m = np.full(4000, window.lo + share * window.width, np.float32)
        drawn = bound.sample(m[:, None], np.random.default_rng(3))
        off = float(np.abs(drawn.mean(0) - moving.mean(m[:1])[0]).max())
        require(off < 0.08, f"At m = {m[0]:.2f} the mean of the draws is off by {off:.3f} (the spread is {moving.width}).")
