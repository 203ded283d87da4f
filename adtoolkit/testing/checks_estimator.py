"""Checks of how things are fitted: estimators, and scorers, which keep the same habits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from adtoolkit.capabilities import Cap
from adtoolkit.interfaces import PROTOCOLS, FittedScorer, Model
from adtoolkit.testing.bundles import (
    SHIFT,
    answers,
    background_of,
    declared_caps,
    first_fit,
    fit_estimator,
    fit_scorer,
    model_of,
    must_learn,
    points,
    real_caps,
    refused,
    region_of,
    scorer_data,
    scores,
    second_fit,
    world_of,
)
from adtoolkit.testing.checks import CheckFailure, NotApplicable, conformance, require
from adtoolkit.testing.guards import misfit, pickles, tensors
from adtoolkit.testing.subject import lasting, watch
from adtoolkit.types import Sample

if TYPE_CHECKING:
    from adtoolkit.testing.subject import Call, Subject

_SECONDS = 20.0

_ELSEWHERE = "draw from ctx.rng(purpose) or the generator given, make torch layers inside adtoolkit.nn.isolated_rng, put settings back"
_FORMATS = "write arrays with adtoolkit.arrays.write_arrays, tensors with adtoolkit.nn.save_tensors, the rest as JSON"


def said(subject: Subject, fitted: Any) -> dict[str, Any]:
    """What a fitted model or scorer answers at fixed points."""
    return {"score": scores(subject, fitted)} if subject.component.kind == "scorer" else answers(subject, fitted)


def differing(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Empty if all answers are equal bit for bit, else what differs and by how much at most."""
    found = []
    for name, value in one.items():
        if name not in other:
            found.append(f"{name} is missing")
        elif value.shape != other[name].shape:
            found.append(f"{name} has shape {list(other[name].shape)} instead of {list(value.shape)}")
        elif not np.array_equal(value, other[name], equal_nan=True):
            found.append(f"{name} differs by up to {float(np.max(np.abs(value.astype(float) - other[name]))):.3g}")
    return ", ".join(found)


@conformance("estimator", "scorer")
def check_fit_returns_new_model(subject: Subject) -> None:
    """``fit`` returns a new model each time and keeps nothing on the component."""
    result = first_fit(subject).result
    wanted = FittedScorer if subject.component.kind == "scorer" else Model
    require(isinstance(result, wanted), f"It returned {type(result).__name__}, which is no {wanted.__name__}.")
    instance = subject.make()
    before = dict(vars(instance))
    again = _fit(subject, instance)
    require(again is not result and again is not instance, "It returned an object that was there before.")
    kept = sorted(name for name, value in vars(instance).items() if name not in before or before[name] is not value)
    require(not kept, f"fit() left {', '.join(kept)} on the component.")


def _fit(subject: Subject, instance: Any) -> Any:
    if subject.component.kind == "scorer":
        data = scorer_data(subject)
        return instance.fit(data, background_of(subject, data), subject.context())
    return instance.fit(*world_of(subject).training(region_of(subject.component)), subject.context())


@conformance("estimator", "interpolator")
def check_capabilities_match_methods(subject: Subject) -> None:
    """A model has the methods of the capabilities that its record declares, with their arguments, and no others."""
    real, declared = real_caps(model_of(subject)), declared_caps(subject)
    missing, extra = sorted(declared - real), sorted(real - declared)
    where = "provides" if subject.component.kind == "estimator" else "rules"
    require(not missing, f"Declared but not there: {', '.join(missing)}; write the method, or take it out of {where}.")
    require(not extra, f"There but not declared: {', '.join(extra)}; add it to {where}, or call the method something else.")
    for cap in sorted(real):
        protocol = PROTOCOLS[cap]
        name = next(name for name, value in vars(protocol).items() if callable(value) and not name.startswith("_"))
        wrong = misfit(getattr(model_of(subject), name), getattr(protocol, name), bound=True)
        require(not wrong, wrong)


@conformance("estimator", "scorer")
def check_inputs_not_mutated(subject: Subject) -> None:
    """Fitting leaves the events it is given as they were."""
    written = first_fit(subject).written
    require(not written, f"Changed: {', '.join(written)}; work on a copy (torch.from_numpy shares memory, adtoolkit.nn.to_tensor copies).")


@conformance("estimator", "scorer")
def check_no_global_rng_or_dtype_change(subject: Subject) -> None:
    """Fitting and asking leave the global random generators, dtype, threads and modes as they were; so do saving and loading."""
    fit = first_fit(subject)
    touched = lasting(fit, lambda: second_fit(subject))
    require(not touched, f"fit changed {', '.join(touched)}; {_ELSEWHERE}.")
    said(subject, fit.result)
    touched = watch(lambda: said(subject, fit.result)).touched
    require(not touched, f"Asking the model changed {', '.join(touched)}; {_ELSEWHERE}.")
    folder = subject.folder("globals")
    touched = watch(lambda: (fit.result.save(folder), type(fit.result).load(folder, "cpu"))).touched
    require(not touched, f"Saving and loading changed {', '.join(touched)}; {_ELSEWHERE}.")


@conformance("estimator", "scorer")
def check_deterministic(subject: Subject) -> None:
    """Two fits with the same seed give the same answers bit for bit, wherever the global generators stand."""
    different = differing(said(subject, first_fit(subject).result), said(subject, second_fit(subject).result))
    require(not different, f"Between the two, {different}.")


@conformance("estimator", "scorer")
def check_smoke_under_20_seconds(subject: Subject) -> None:
    """With the ``smoke`` preset a fit of a few thousand events takes less than 20 seconds."""
    seconds = first_fit(subject).seconds
    require(seconds < _SECONDS, f"It took {seconds:.1f} s.")


@conformance("estimator", "scorer")
def check_save_load_same_answer(subject: Subject) -> None:
    """A saved model, loaded from another place, gives the same answers, and no file of it is a pickle."""
    fitted = first_fit(subject).result
    first, moved = subject.folder("saved"), subject.folder("moved") / "elsewhere"
    try:
        fitted.save(first)
    except Exception as error:
        message = f"save() raised {type(error).__name__}: {error}; {_FORMATS}."
        raise CheckFailure(message) from error
    require(any(first.iterdir()), "save() wrote nothing.")
    bad = pickles(first)
    require(not bad, f"Only unpickling reads {', '.join(bad)}; {_FORMATS}.")
    before = said(subject, fitted)
    first.rename(moved)
    loaded = type(fitted).load(moved, "cpu")
    different = differing(before, said(subject, loaded))
    require(not different, f"After loading, {different}.")


@conformance("estimator", "scorer")
def check_device_is_respected(subject: Subject) -> None:
    """All tensors of a fitted and of a loaded model are on the device asked for (every kind of device that is there)."""
    import torch

    fitted = first_fit(subject).result
    _on_device(fitted, "cpu")
    if torch.cuda.is_available():
        # a scorer may keep the background that it was given, whose place is not its business
        given = background_of(subject, scorer_data(subject)) if subject.component.kind == "scorer" else None
        _on_device(_fit_again(subject, device="cuda").result, "cuda", given)
        folder = subject.folder("cuda")
        fitted.save(folder)
        _on_device(type(fitted).load(folder, "cuda"), "cuda")


def _on_device(model: Any, device: str, given: Any = None) -> None:
    """All tensors of a model but those of what it was given."""
    seen: set[int] = set()
    list(tensors(given, seen=seen))
    wrong = sorted(f"{name} ({tensor.device})" for name, tensor in tensors(model, seen=seen) if tensor.device.type != device)
    require(not wrong, f"Asked for {device}: {', '.join(wrong[:3])}{' and more' if len(wrong) > 3 else ''}.")


def _fit_again(subject: Subject, device: str) -> Call:
    if subject.component.kind == "scorer":
        return fit_scorer(subject, scorer_data(subject), device=device)
    return fit_estimator(subject, world_of(subject).training(region_of(subject.component)), device=device)


@conformance("estimator", "scorer")
def check_empty_and_nan_rejected(subject: Subject) -> None:
    """No events at all, or a NaN among the features, end in an AdtoolError or ValueError before any training."""
    if subject.component.kind == "scorer":
        must_learn(subject)
    first_fit(subject)  # good events must do: what refuses everything refuses nothing
    if subject.component.kind == "scorer":
        data = scorer_data(subject)
        background = background_of(subject, data)
        empty = replace(data, window=data.window[:0], labelled=data.labelled[:0] if data.labelled is not None else None)
        poisoned = replace(data, window=_poisoned(data.window), labelled=_poisoned(data.labelled) if data.labelled is not None else None)
        calls = {
            "no events": lambda: fit_scorer(subject, empty, background=background),
            "a NaN": lambda: fit_scorer(subject, poisoned, background=background),
        }
    else:
        train, val = world_of(subject).training(region_of(subject.component))
        calls = {
            "no events": lambda: fit_estimator(subject, (train[:0], val[:0])),
            "a NaN": lambda: fit_estimator(subject, (_poisoned(train), val)),
        }
    for what, call in calls.items():
        instead = refused(call)
        require(not instead, f"With {what} it {instead}.")


def _poisoned(sample: Sample) -> Sample:
    x = sample.x.copy()
    x[len(x) // 2, 0] = np.nan
    return replace(sample, x=x)


@conformance("estimator")
def check_weights_honoured(subject: Subject) -> None:
    """Events of weight zero count for nothing: of two populations, the model follows the one that has the weight."""
    train, val = world_of(subject).training(region_of(subject.component))
    near = fit_estimator(subject, (_two(train, 1.0, 0.0), _two(val, 1.0, 0.0))).result
    far = fit_estimator(subject, (_two(train, 0.0, 1.0), _two(val, 0.0, 1.0))).result
    at = points(subject, 500)
    moved = replace(at, x=at.x + SHIFT)
    if Cap.SAMPLE in real_caps(near):
        means = [float(model.sample(at.cond, np.random.default_rng(3)).mean()) for model in (near, far)]
        text = f"Two populations {SHIFT:g} apart: the samples of the two fits are {means[1] - means[0]:.2f} apart."
        require(means[1] - means[0] > SHIFT / 2, text)
    elif Cap.LOG_PROB in real_caps(near):
        gain = [float((model.log_prob(moved.x, at.cond) - model.log_prob(at.x, at.cond)).mean()) for model in (near, far)]
        require(gain[0] < 0 < gain[1], f"The density prefers the weightless population (by {gain[0]:.2f} and {-gain[1]:.2f} in log p).")
    else:
        reason = "its model neither samples nor has a density to see the weights by"
        raise NotApplicable(reason)


def _two(sample: Sample, near: float, far: float) -> Sample:
    """The events and a copy of them moved by `SHIFT`, with these weights, well mixed."""
    n = len(sample)
    both = Sample.concat(
        replace(sample, weight=np.full(n, near, np.float32)), replace(sample, x=sample.x + SHIFT, weight=np.full(n, far, np.float32))
    )
    return both[np.random.default_rng(9).permutation(2 * n)]
