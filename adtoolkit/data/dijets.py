"""Simulated dijets: the sample shipped with the package, or larger files made by ``adtool data simulate dijets``."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

from adtoolkit.data.checks import check_sample
from adtoolkit.data.config import DijetsConfig
from adtoolkit.data.jet_files import read_jets
from adtoolkit.data.split import Pool, inject
from adtoolkit.errors import ConfigError, DataError
from adtoolkit.interfaces import Context, DataSource
from adtoolkit.types import Dataset, Sample


class Dijets(DataSource[DijetsConfig]):
    """QCD dijets and W'(3.5 TeV) -> X(500 GeV) Y(100 GeV) from Pythia 8, in the features of `adtoolkit.data.lhco`."""

    def load(self, ctx: Context) -> Dataset:
        """Read the files and draw the data.

        Raises:
            ConfigError: if there are files of signal but none of background.
            DataError: on anything wrong with the files, or more events asked for than there are.
            UnknownNameError: if a feature is not known.
        """
        config = self.config
        counts: dict[str, int] = {}
        features = config.features
        if config.signal and not config.path:
            raise ConfigError(
                "data.signal names files of signal, but data.path names none of background.", "Name them: --set data.path=FILE"
            )

        def read(path: Path, label: int) -> Sample:
            return read_jets(path.expanduser(), features, config.drop_invalid, counts, unlabelled=label)

        if config.path:
            parts = [read(Path(path), 0) for path in config.path] + [read(Path(path), 1) for path in config.signal]
        else:
            with as_file(files("adtoolkit.data") / "samples") as folder:
                shipped = sorted(folder.glob("*.h5"))
                if not shipped:
                    raise DataError(
                        "This installation lacks its sample of dijets.", "Install adtoolkit again, or name files: --set data.path=FILE"
                    )
                parts = [read(path, 0) for path in shipped]
        # rows of several files would not tell which file
        events = parts[0] if len(parts) == 1 else replace(Sample.concat(*parts), row=None)
        check_sample(events, features, "mjj")
        return inject(Pool(events), config, ctx, features=features, mass="mjj", unit="TeV", counts=counts)
