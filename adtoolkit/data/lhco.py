"""The R&D data of the LHC Olympics 2020: official feature files, or the arrays of the CATHODE repository."""

from __future__ import annotations

from pathlib import Path

from adtoolkit.data.cathode_arrays import read_cathode
from adtoolkit.data.checks import check_sample
from adtoolkit.data.config import DIJET_FEATURES, LhcoConfig
from adtoolkit.data.fetch import LHCO, LHCO_EXTRA, downloads_folder
from adtoolkit.data.jet_files import read_jets
from adtoolkit.data.split import Pool, inject
from adtoolkit.errors import DataError
from adtoolkit.interfaces import Context, DataSource
from adtoolkit.types import Dataset


class Lhco(DataSource[LhcoConfig]):
    """LHC Olympics R&D events: QCD dijets and W'(3.5 TeV) -> X(500 GeV) Y(100 GeV), both to quarks.

    The mass is that of the two jets, in TeV. Events whose ratios of taus are undefined (tau1 = 0) are dropped and counted.
    Labelled events of a CATHODE folder that lie outside its data stay outside.

    References:
        G. Kasieczka, B. Nachman, D. Shih et al., The LHC Olympics 2020, arXiv:2101.08320.
        A. Hallin et al., Classifying Anomalies THrough Outer Density Estimation, arXiv:2109.00546.
    """

    def load(self, ctx: Context) -> Dataset:
        """Read the files and draw the data.

        Raises:
            DataError: on anything wrong with the files, or more events asked for than there are.
            UnknownNameError: if a feature is not known.
        """
        config = self.config
        counts: dict[str, int] = {}
        path = self._path()
        if path.is_dir() or path.suffix == ".npy":
            pool, features = read_cathode(path, config.features, config.drop_invalid, counts)
            if config.extra:
                raise DataError("CATHODE's arrays bring their own extra background, so data.extra has no place here.", "Leave it out.")
        else:
            features = config.features or DIJET_FEATURES
            events = read_jets(path, features, config.drop_invalid, counts)
            extra = (
                read_jets(Path(config.extra).expanduser(), features, config.drop_invalid, counts, unlabelled=0) if config.extra else None
            )
            if extra is not None and extra.truth is not None and extra.truth.any():
                raise DataError(
                    f"The extra background {config.extra} holds {int(extra.truth.sum())} signal events.",
                    f"Name the file {LHCO_EXTRA.name}, or another of background alone.",
                )
            pool = Pool(events, extra)
        check_sample(pool.events, features, "mjj")
        return inject(pool, config, ctx, features=features, mass="mjj", unit="TeV", counts=counts)

    def _path(self) -> Path:
        if self.config.path:
            return Path(self.config.path).expanduser()
        path = downloads_folder() / LHCO.name
        if not path.exists():
            raise DataError(
                "No file of LHC Olympics events was named, and none was downloaded.",
                "Name one: --set data.path=FILE, or download it: adtool data fetch lhco",
            )
        return path
