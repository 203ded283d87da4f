"""Anti-kT dijets and their N-subjettiness, for many events at once."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np

from adtoolkit.simulate.particles import Floats, Ints, Particles, sum_by, wrap_phi

N_AXES = 3
_CANDIDATE_PT = 100.0


def leading_dijets(particles: Particles, *, radius: float = 1.0, eta_max: float = 2.5, jet_pt_min: float = 0.0) -> tuple[Floats, Ints]:
    """Find the two hardest jets of each event and measure them.

    Events with fewer than two jets above 100 GeV inside ``eta_max``, or whose hardest one is softer than ``jet_pt_min``, are dropped.

    Args:
        particles: Massless particles of N events.
        radius: Radius parameter of the anti-kT algorithm.
        eta_max: Jets outside this absolute pseudorapidity are ignored.
        jet_pt_min: Smallest transverse momentum of the leading jet in GeV.

    Returns:
        Features `[K, 14]` (px, py, pz, m in GeV and tau1, tau2, tau3 of the leading, then of the second jet) and the numbers `[K]` of
        the events they belong to.

    References:
        Cacciari, Salam, Soyez, "The anti-k_t jet clustering algorithm", arXiv:0802.1189; "FastJet user manual", arXiv:1111.6097.
    """
    import awkward as ak
    import fastjet

    _no_banner()
    momenta = _momenta(particles.pt, particles.eta, particles.phi, np.bincount(particles.event, minlength=particles.n_events))
    sequence = fastjet.ClusterSequence(momenta, fastjet.JetDefinition(fastjet.antikt_algorithm, radius))
    jets = sequence.inclusive_jets(_CANDIDATE_PT)
    members = sequence.constituent_index(_CANDIDATE_PT)

    n_jets = ak.to_numpy(ak.num(jets.px)).astype(np.int64)
    px, py, pz, energy = (ak.to_numpy(ak.flatten(jets[name])) for name in ("px", "py", "pz", "E"))
    pt = np.hypot(px, py)
    inside = np.abs(np.arcsinh(pz / pt)) < eta_max
    event = np.repeat(np.arange(particles.n_events), n_jets)
    order = np.lexsort((-pt, ~inside, event))  # jets inside first, hardest first, within each event
    first = np.cumsum(n_jets) - n_jets

    found = np.flatnonzero(np.bincount(event[inside], minlength=particles.n_events) >= 2)
    found = found[pt[order[first[found]]] >= jet_pt_min]
    pair = np.stack([order[first[found]], order[first[found] + 1]], axis=1)  # [K, 2] numbers of jets

    counts = ak.to_numpy(ak.num(ak.flatten(members, axis=1))).astype(np.int64)  # particles per jet
    start_of_event = np.searchsorted(particles.event, np.arange(particles.n_events))
    index = ak.to_numpy(ak.flatten(members, axis=None)).astype(np.int64) + np.repeat(start_of_event[event], counts)
    chosen, sizes = _take_ranges(np.cumsum(counts) - counts, counts, pair.ravel())
    index = index[chosen]
    tau = n_subjettiness(particles.pt[index], particles.eta[index], particles.phi[index], sizes, radius=radius)

    mass2 = (energy - pz) * (energy + pz) - pt**2
    jet = np.stack([px, py, pz, np.sqrt(np.maximum(mass2, 0.0))], axis=1)
    features = np.concatenate([jet[pair], tau.reshape(-1, 2, N_AXES)], axis=2).reshape(-1, 2 * (4 + N_AXES))
    return features, found


def n_subjettiness(pt: Floats, eta: Floats, phi: Floats, sizes: Ints, *, radius: float = 1.0) -> Floats:
    """N-subjettiness tau_1, tau_2, tau_3 (beta = 1) of J jets with exclusive-kT axes.

    tau_N = sum_i pT_i min_a dR(i, a) / (R sum_i pT_i), with the axes a from clustering the jet with kT until N subjets are
    left, and distances in pseudorapidity and azimuth.

    Args:
        pt: Transverse momenta `[M]` in GeV of the particles, jet after jet.
        eta: Pseudorapidities `[M]`.
        phi: Azimuths `[M]`.
        sizes: Number of particles of each jet `[J]`.
        radius: R above.

    Returns:
        `[J, 3]`; tau_N of a jet with fewer than N particles is 0.

    References:
        Thaler, Van Tilburg, "Identifying boosted objects with N-subjettiness", arXiv:1011.2268.
    """
    tau = np.zeros((len(sizes), N_AXES))
    for n_axes in range(1, N_AXES + 1):  # jets of one and two particles are rare but must not ask for three axes
        group = sizes >= N_AXES if n_axes == N_AXES else sizes == n_axes
        if not group.any():
            continue
        inside = np.repeat(group, sizes)
        tau[group, :n_axes] = _tau(pt[inside], eta[inside], phi[inside], sizes[group], n_axes, radius)
    return tau


def _tau(pt: Floats, eta: Floats, phi: Floats, sizes: Ints, n_axes: int, radius: float) -> Floats:
    """tau_1 to tau_``n_axes`` `[J, n_axes]` of jets that all have at least ``n_axes`` particles."""
    import awkward as ak
    import fastjet

    sequence = fastjet.ClusterSequence(_momenta(pt, eta, phi, sizes), fastjet.JetDefinition(fastjet.kt_algorithm, radius))
    jet = np.repeat(np.arange(len(sizes)), sizes)
    scale = radius * sum_by(jet, pt, len(sizes))
    tau = np.empty((len(sizes), n_axes))
    for n in range(1, n_axes + 1):
        axes = _exclusive(sequence, n)
        px, py, pz = (ak.to_numpy(ak.flatten(axes[name])).reshape(-1, n) for name in ("px", "py", "pz"))
        axis_phi, axis_eta = np.arctan2(py, px), np.arcsinh(pz / np.hypot(px, py))  # pseudorapidity, as in the public LHCO features
        nearest = np.full(len(pt), np.inf)
        for k in range(n):
            d_phi = wrap_phi(phi - axis_phi[jet, k])  # unwrapped, jets near pi would get huge values
            np.minimum(nearest, (eta - axis_eta[jet, k]) ** 2 + d_phi**2, out=nearest)
        tau[:, n - 1] = sum_by(jet, pt * np.sqrt(nearest), len(sizes)) / scale
    return tau


def _exclusive(sequence: Any, n: int) -> Any:
    """``n`` exclusive jets of each list, without fastjet's warning, which is given even for kT and replaces Python's own format."""
    formatter = warnings.formatwarning
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return sequence.exclusive_jets(n)
        finally:
            warnings.formatwarning = formatter


@functools.cache
def _no_banner() -> None:
    """Keep fastjet from printing on its first use."""
    from fastjet import _swig

    _swig.ClusterSequence.set_fastjet_banner_stream(None)


def _momenta(pt: Floats, eta: Floats, phi: Floats, counts: Ints) -> Any:
    """Massless four-momenta as the jagged array of N lists that fastjet takes."""
    import awkward as ak
    import vector

    vector.register_awkward()
    fields = {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta), "E": pt * np.cosh(eta)}
    content = ak.contents.RecordArray(
        [ak.contents.NumpyArray(values) for values in fields.values()], list(fields), parameters={"__record__": "Momentum4D"}
    )
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), content))


def _take_ranges(starts: Ints, counts: Ints, which: Ints) -> tuple[Ints, Ints]:
    """Indices of the ranges ``which``, one after the other, and their lengths."""
    sizes = counts[which]
    ends = np.cumsum(sizes)
    index = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts[which] - (ends - sizes), sizes)
    return index, sizes
