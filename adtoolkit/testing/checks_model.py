"""Checks of what models answer, fitted by an estimator or bound by an interpolator: draws, densities, reconstructions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from adtoolkit.capabilities import Cap
from adtoolkit.interfaces import DrawsFromEvents
from adtoolkit.testing.bundles import model_of, points, real_caps
from adtoolkit.testing.checks import NotApplicable, conformance, require
from adtoolkit.testing.guards import OtherGlobalSeeds

if TYPE_CHECKING:
    from adtoolkit.testing.subject import Subject

#: Numbers of events asked for at once: none, one, odd, and about common batch sizes.
SIZES = (0, 1, 7, 256, 257)

#: Options named ``...batch...`` up to this are tried as numbers of events too: exactly, twice, and one more.
_LARGEST_BATCH = 5000


def _with(subject: Subject, cap: Cap) -> Any:
    """The model under test, if it has the capability."""
    model = model_of(subject)
    if cap not in real_caps(model):
        reason = f"its model does not offer {cap}"
        raise NotApplicable(reason)
    return model


def sizes(subject: Subject) -> list[int]:
    """Numbers of events to try."""
    found = set(SIZES)
    for name, value in subject.config:
        if "batch" in name and isinstance(value, int) and 0 < value <= _LARGEST_BATCH:
            found |= {value, value + 1, 2 * value}
    return sorted(found)


def _shape(name: str, value: Any, wanted: tuple[int, ...]) -> None:
    require(isinstance(value, np.ndarray), f"{name} returned {type(value).__name__}, not a numpy array.")
    require(value.shape == wanted, f"{name} returned shape {list(value.shape)} where {list(wanted)} was asked for.")
    require(value.dtype == np.float32, f"{name} returned {value.dtype}, not float32.")
    bad = int((~np.isfinite(value)).sum())
    require(bad == 0, f"{bad} of {value.size} values that {name} returned are not finite.")


@conformance("estimator", "interpolator")
def check_sample_shape_dtype_finite(subject: Subject) -> None:
    """``sample`` returns a finite float32 array with a row per condition and a column per feature."""
    at = points(subject, 200)
    _shape("sample", _with(subject, Cap.SAMPLE).sample(at.cond, np.random.default_rng(0)), at.x.shape)


@conformance("estimator", "interpolator")
def check_log_prob_shape_finite(subject: Subject) -> None:
    """``log_prob`` returns a finite float32 number per event, five spreads away from the data too."""
    model = _with(subject, Cap.LOG_PROB)
    at = points(subject, 200)
    for name, x in {"log_prob": at.x, "log_prob far from the data": at.x + np.float32(5)}.items():
        _shape(name, model.log_prob(x, at.cond), (len(at),))


@conformance("estimator", "interpolator")
def check_reconstruct_shape_finite(subject: Subject) -> None:
    """``reconstruct`` returns a finite float32 array of the shape it was given."""
    model = _with(subject, Cap.RECONSTRUCT)
    at = points(subject, 200)
    _shape("reconstruct", model.reconstruct(at.x, at.cond), at.x.shape)


@conformance("estimator", "interpolator")
def check_field_shape_finite(subject: Subject) -> None:
    """``field`` returns a finite tensor of the shape, dtype and device of x at all times from 0 to 1."""
    import torch

    model = _with(subject, Cap.FIELD)
    at = points(subject, 50)
    x, cond = torch.tensor(at.x), torch.tensor(at.cond)
    for t in (0.0, 0.5, 1.0):
        with torch.no_grad():
            value = model.field(torch.tensor(t), x, cond)
        require(
            value.shape == x.shape and value.dtype == x.dtype and value.device == x.device,
            f"At t = {t:g}: {value.dtype} {list(value.shape)}.",
        )
        require(bool(torch.isfinite(value).all()), f"At t = {t:g} it is not finite.")


@conformance("estimator", "interpolator")
def check_batch_sizes(subject: Subject) -> None:
    """Any number of events gives as many answers: none, one, odd, exact multiples of a batch; a density is the same in any batch."""
    model = model_of(subject)
    caps = real_caps(model)
    at = points(subject, max(sizes(subject)))
    for n in sizes(subject):
        some = at[:n]
        if Cap.SAMPLE in caps:
            _shape(f"sample of {n} events", model.sample(some.cond, np.random.default_rng(0)), some.x.shape)
        if Cap.LOG_PROB in caps:
            _shape(f"log_prob of {n} events", model.log_prob(some.x, some.cond), (n,))
        if Cap.RECONSTRUCT in caps:
            _shape(f"reconstruct of {n} events", model.reconstruct(some.x, some.cond), some.x.shape)
    if Cap.LOG_PROB in caps:
        few, many = model.log_prob(at.x[:7], at.cond[:7]), model.log_prob(at.x[:257], at.cond[:257])[:7]
        off = float(np.abs(few - many).max())
        require(off < 1e-3, f"log p of an event changes by {off:.2g} when others are asked for with it.")


@conformance("estimator", "interpolator")
def check_sample_is_reproducible(subject: Subject) -> None:
    """The same generator gives the same draws, wherever the global generators stand."""
    model = _with(subject, Cap.SAMPLE)
    cond = points(subject, 300).cond
    one = model.sample(cond, np.random.default_rng(4))
    with OtherGlobalSeeds():
        other = model.sample(cond, np.random.default_rng(4))
    require(np.array_equal(one, other), f"{int((one != other).any(1).sum())} of {len(cond)} events differ.")


@conformance("estimator")
def check_noise_is_the_same_at_every_condition(subject: Subject) -> None:
    """Draws of a model with the capability ``noise`` hardly move when the mass does: the same generator gives the same noise."""
    if Cap.NOISE not in subject.component.provides:
        reason = f"its model does not offer {Cap.NOISE}"
        raise NotApplicable(reason)
    model, at = _with(subject, Cap.SAMPLE), points(subject, 500)
    near = at.cond.copy()
    near[:, 0] += 1e-3 * near[:, 0].std()
    one, other = (model.sample(cond, np.random.default_rng(5)) for cond in (at.cond, near))
    moved = float(np.abs(other - one).mean() / one.std(0).mean())
    text = f"A thousandth of the spread in m moves the draws by {moved:.2f} of theirs: take Cap.NOISE out of provides."
    require(moved < 0.05, text)


@conformance("estimator")
def check_draws_that_recur_tell_their_events(subject: Subject) -> None:
    """A model that gives the same draw more than once is a `DrawsFromEvents`, and equal draws are of the same group."""
    model, at = _with(subject, Cap.SAMPLE), points(subject, 2000)
    rng, group = np.random.default_rng(6), None
    if isinstance(model, DrawsFromEvents):
        x, group = model.sample_grouped(at.cond, rng)
    else:
        x = model.sample(at.cond, rng)
    _, place, count = np.unique(x, axis=0, return_inverse=True, return_counts=True)
    recur = int((count[place] > 1).sum())
    text = f"{recur} of {len(x)} draws are not the only ones of their kind: folds must keep these together. Write sample_grouped()."
    require(group is not None or recur == 0, text)
    if group is not None:
        require(group.shape == (len(x),), f"sample_grouped gave groups of shape {list(group.shape)} for {len(x)} draws.")
        torn = int((group != group[np.unique(place, return_index=True)[1]][place]).sum())
        require(torn == 0, f"{torn} draws that are equal have different groups.")
        said = subject.make().independent_groups() if subject.component.kind == "estimator" else None
        found = len(np.unique(group))
        require(said is None or found <= said, f"Draws have {found} groups, but independent_groups() says {said}.")


@conformance("estimator", "interpolator")
def check_different_seed_differs(subject: Subject) -> None:
    """Another generator, and the same generator later on, give other draws."""
    model = _with(subject, Cap.SAMPLE)
    cond = points(subject, 300).cond
    rng = np.random.default_rng(4)
    one, later, other = model.sample(cond, rng), model.sample(cond, rng), model.sample(cond, np.random.default_rng(5))
    require((one != other).any(1).all(), "With another seed some events came back the same.")
    require((one != later).any(1).all(), "Asked twice with one generator, some events came back the same.")
