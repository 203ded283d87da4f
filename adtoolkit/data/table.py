"""Any file with named columns as data: which is the mass, which are the features, which, if any, is the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adtoolkit.data.checks import as_float, as_truth, as_weight, check_features, check_sample, check_signs, finite_rows
from adtoolkit.data.config import TableConfig
from adtoolkit.data.expressions import Expression, definition
from adtoolkit.data.readers import read_columns
from adtoolkit.data.split import Pool, inject
from adtoolkit.errors import ConfigError, DataError, UnknownNameError
from adtoolkit.interfaces import Context, DataSource
from adtoolkit.types import Dataset, Sample


class _Events(NamedTuple):
    sample: Sample
    known: NDArray[np.bool_]
    features: list[str]
    mass: str


class _Columns(NamedTuple):
    """What was read, and the definitions: a name, and the formula if it is no column."""

    there: dict[str, NDArray[Any]]
    mass: tuple[str, Expression | None]
    features: dict[str, Expression | None]
    weight: dict[str, Expression | None]


class Table(DataSource[TableConfig]):
    """Events of a table of columns."""

    def load(self, ctx: Context) -> Dataset:
        """Read the file, apply the cuts and draw the data.

        Raises:
            ConfigError: if an option that every table needs is missing, or a formula is not one.
            DataError: on anything wrong with the file or its values.
            UnknownNameError: if a column is not there.
        """
        config = self.config
        for option, value in (("path", config.path), ("mass", config.mass), ("features", config.features)):
            if not value:
                raise ConfigError(
                    f"A table needs data.{option}.", "Look at the file with 'adtool data inspect FILE'; it prints the options to use."
                )
        cuts = [_condition("cut", text) for text in config.cuts]
        known = _condition("reference", config.reference) if config.reference else None
        counts: dict[str, int] = {}
        table = self._events(config.path, cuts, counts, known=known, truth=config.truth)
        sample, reference = table.sample, None
        if known is not None:
            sample, reference = sample[~table.known], _background(sample[table.known], counts)
        elif config.reference_path:
            there: dict[str, int] = {}
            reference = self._events(config.reference_path, cuts, there).sample
            counts |= {f"reference: {what}": n for what, n in there.items()}
        check_sample(sample, table.features, table.mass)
        if reference is None:
            return inject(Pool(sample), config, ctx, features=table.features, mass=table.mass, unit=config.mass_unit, counts=counts)
        fix = "Loosen the condition or the cuts, or use a larger file."
        check_features(reference.x, reference.m, table.features, table.mass, what="reference events", fix=fix)
        rest = config.model_copy(update={"n_reference": 0})
        dataset = inject(Pool(sample), rest, ctx, features=table.features, mass=table.mass, unit=config.mass_unit, counts=counts)
        return replace(dataset, reference=replace(reference, row=None))

    def _events(
        self, path: str, cuts: list[Expression], counts: dict[str, int], *, known: Expression | None = None, truth: str = ""
    ) -> _Events:
        """The events of a file that pass the cuts; which of them are known to be background, if a condition says so."""
        config = self.config
        columns, (mass, m_of), features, weight = self._read(path, [*cuts, *([known] if known is not None else [])], truth)
        for name, formula in {mass: m_of, **features, **weight}.items():  # conditions may name what the formulas define
            if formula is not None and name not in columns:
                columns[name] = _column(name, formula, columns)
        good = np.ones(len(next(iter(columns.values()))), bool)
        for cut in cuts:
            passed = cut(columns)
            counts[f"cut: {cut.text}"] = int((good & ~passed).sum())
            good &= passed
        if not good.any():
            raise (
                DataError(f"No event of {path} passes the cuts {', '.join(config.cuts)}.", "Loosen them.")
                if cuts
                else DataError(f"{path} holds no events.")
            )
        if not good.all():
            columns = {name: column[good] for name, column in columns.items()}
        row = np.flatnonzero(good)

        labels = as_truth(truth, columns[truth]) if truth else None
        chosen = known(columns) if known is not None else np.zeros(len(row), bool)
        wanted = {name: _column(name, of, columns) for name, of in features.items()}
        m = _column(mass, m_of, columns) * config.scale
        weights = {name: as_weight(name, columns[name] if of is None else _column(name, of, columns)) for name, of in weight.items()}
        good = finite_rows({**wanted, mass: m, **weights}, config.drop_invalid, counts)
        if not good.all():
            wanted, m, row = {name: column[good] for name, column in wanted.items()}, m[good], row[good]
            labels, chosen = labels[good] if labels is not None else None, chosen[good]
            weights = {name: column[good] for name, column in weights.items()}
        signed = check_signs({**wanted, mass: m}, counts)
        x = np.column_stack([signed[name] for name in wanted]).astype(np.float32)
        w = next((column.astype(np.float32) for column in weights.values()), None)
        return _Events(Sample(x, signed[mass].astype(np.float32), truth=labels, row=row, weight=w), chosen, list(wanted), mass)

    def _read(self, path: str, conditions: list[Expression], truth: str) -> _Columns:
        """The columns needed, and the definitions of mass, features and weight."""
        config = self.config
        texts = [config.mass, *config.features, *([config.weight] if config.weight else [])]
        defined: list[tuple[str, Expression | None]] = []

        def choose(known: list[str]) -> list[str]:
            defined.extend(definition(text, known) for text in texts)
            names = [name for name, formula in defined if formula is None]
            for formula in (f for _, f in defined if f is not None):
                names += sorted(formula.names)
            made = {name for name, formula in defined if formula is not None}
            for condition in conditions:
                names += sorted(name for name in condition.names if name in known or name not in made)
            if truth:
                names.append(truth)
            for name in names:
                if name not in known:
                    raise UnknownNameError("column", name, known, f"See: adtool data inspect {path}")
            if not names:
                raise ConfigError("The formulas use no column.", "Write, for example, data.mass='M = sqrt(E**2 - p**2)'.")
            return list(dict.fromkeys(names))

        columns = read_columns(Path(path).expanduser(), config.key, choose)
        mass, features, weight = defined[0], defined[1 : 1 + len(config.features)], defined[1 + len(config.features) :]
        names = [name for name, _ in features]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"Duplicated features: {', '.join(repr(name) for name in twice)}.", "Name each feature once.")
        if config.truth and config.truth in names:
            raise DataError(f"The truth column '{config.truth}' is among the features.", "Leave it out: no method may see it.")
        for name, _ in weight:
            if name in names:
                raise DataError(f"The weight '{name}' is among the features.", "Leave it out of one of them.")
        return _Columns(columns, mass, dict(features), dict(weight))


def _column(name: str, formula: Expression | None, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    if formula is None:
        return as_float(name, columns[name])
    return np.broadcast_to(np.asarray(formula(columns), np.float64), len(next(iter(columns.values()))))


def _condition(what: str, text: str) -> Expression:
    expression = Expression(text)
    if not expression.is_condition:
        raise ConfigError(f"The {what} '{text}' is no condition.", "Compare with something, for example pt > 1200.")
    return expression


def _background(sample: Sample, counts: dict[str, int]) -> Sample:
    """Events taken for background: without labels, but if these call some of them signal, it is told."""
    if sample.truth is not None and sample.truth.any():
        counts["reference: signal by its label"] = int(sample.truth.sum())
    return sample.blind()
