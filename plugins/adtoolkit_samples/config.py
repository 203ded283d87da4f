"""Options of the estimator ``samples``."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from adtoolkit.config import ComponentConfig
from adtoolkit.data.config import Names


class SamplesConfig(ComponentConfig):
    """Which file, and which of its columns.

    Attributes:
        path: HDF5, npz, CSV, Parquet or ROOT file of template events, in the units of the data.
        key: Group, dataset or tree inside the file; needed only where there are several.
        mass: Column of the resonant mass.
        columns: One column per feature of the data, in their order.
        scale: Factor on the mass, for example 0.001 from GeV to TeV.
        neighbours: An event is drawn from so many of the file whose masses are nearest.
    """

    path: str = ""
    key: str = ""
    mass: str = ""
    columns: Names = ()
    scale: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)
    neighbours: PositiveInt = 20
