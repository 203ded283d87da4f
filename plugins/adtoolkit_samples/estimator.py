"""The estimator ``samples``: reads the events, and refuses those that cannot be meant."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from adtoolkit.data.checks import as_float
from adtoolkit.data.readers import exactly, read_columns
from adtoolkit.errors import ConfigError, DataError
from adtoolkit.interfaces import BackgroundEstimator, Context
from adtoolkit.types import Sample, Window
from adtoolkit_samples.config import SamplesConfig
from adtoolkit_samples.model import SamplesModel

#: Fewer template events than this in the window say nothing about a background.
LEAST: Final = 100

#: More template events than this share outside the data's range of a feature, or a spread so many times that of the data: other units.
OUTSIDE: Final = 0.1
SPREAD: Final = 20.0


class Samples(BackgroundEstimator[SamplesConfig]):
    """Template events that another program drew, for example a CATHODE or CURTAINs of another group, in place of a trained model.

    The region that it is trained on is not looked at. Features and masses are physical, as in the data.
    """

    made_elsewhere: ClassVar[bool] = True

    def check(self, events: Sample, window: Window | None) -> None:
        template = self._read(events.x.shape[1])
        if events.context is not None:
            raise DataError(
                "Template events of a file know no condition but the mass, and these data have more.", "Choose another estimator."
            )
        inside = template if window is None else template[window.contains(template.m)]
        if len(inside) < LEAST:
            where = "" if window is None else f" in the window {window.lo:g} to {window.hi:g}"
            span = f"{template.m.min():g} to {template.m.max():g}" if len(template) else "nowhere"
            raise DataError(
                f"{self.config.path} holds {len(inside)} events{where}; at least {LEAST} are needed (its masses run from {span}).",
                "Name the right column, or change its unit: --set estimator.scale=FACTOR",
            )
        for name, theirs, ours in zip(self.config.columns, inside.x.T, events.x.T, strict=True):
            _check_range(name, theirs, ours)

    def fit(self, train: Sample, val: Sample, ctx: Context) -> SamplesModel:  # noqa: ARG002 - nothing is trained
        if not len(train) or not np.isfinite(train.x).all():
            raise DataError("There are no events in the region, or some are not finite.", "Check the window, and the data.")
        template = self._read(train.x.shape[1])
        template = template[np.argsort(template.m, kind="stable")]
        return SamplesModel(template.x, template.m, self.config.neighbours)

    def arithmetic(self, device: str) -> str:  # noqa: ARG002 - the content of the file decides the numbers
        with Path(self.config.path).expanduser().open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def _read(self, features: int) -> Sample:
        c = self.config
        for option, value in (("path", c.path), ("mass", c.mass), ("columns", c.columns)):
            if not value:
                raise ConfigError(f"The estimator samples needs estimator.{option}.", "Look at the file: adtool data inspect FILE")
        if len(c.columns) != features:
            raise ConfigError(
                f"{len(c.columns)} template columns are named for {features} features of the data: {', '.join(c.columns)}.",
                "Name one per feature, in the order of data.features: --set estimator.columns=a,b",
            )
        columns = read_columns(Path(c.path).expanduser(), c.key, exactly(c.mass, *c.columns))
        wide = np.column_stack([as_float(name, columns[name]) for name in (*c.columns, c.mass)])
        if bad := int((~np.isfinite(wide.astype(np.float32))).any(1).sum()):
            raise DataError(f"{bad} of {len(wide)} events of {c.path} have NaN or infinite values.", "Take them out of the file.")
        return Sample(wide[:, :-1].astype(np.float32), (wide[:, -1] * c.scale).astype(np.float32))

    @classmethod
    def example(cls, directory: Path) -> Mapping[str, Any]:
        """Write toy events to an empty folder and return the options that read them, for ``adtool check``."""
        from adtoolkit.testing import toy_world

        events = toy_world(seed=11, n=3000).dataset.events
        np.savez(directory / "template.npz", m=events.m, **{f"x{i}": column for i, column in enumerate(events.x.T)})
        names = tuple(f"x{i}" for i in range(events.x.shape[1]))
        return {"path": str(directory / "template.npz"), "mass": "m", "columns": names}


def _check_range(name: str, theirs: Any, ours: Any) -> None:
    """[N] of the template and [M] of the data, one feature: whether they can be the same quantity in the same unit."""
    low, high = float(ours.min()), float(ours.max())
    share = float(((theirs < low) | (theirs > high)).mean())
    spread, usual = (float(np.subtract(*np.quantile(values, [0.9, 0.1]))) for values in (theirs, ours))
    if share > OUTSIDE or spread * SPREAD < usual:
        raise DataError(
            f"The template's '{name}' runs from {theirs.min():g} to {theirs.max():g}, the data's feature from {low:g} to {high:g}.",
            "Are the columns in the order of data.features, and in the units of the data?",
        )
