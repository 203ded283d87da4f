"""Voxels in rings, as the XML files of the CaloChallenge describe them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from adtoolkit.errors import ConfigError, DataError, UnknownNameError

_NAME_IT: Final = "Name the binning file of the data set: --set data.binning=FILE.xml"


@dataclass(frozen=True)
class Rings:
    """A layer whose voxels are pieces of rings.

    Attributes:
        id: Its number in the file.
        edges: [R + 1] radii between the rings, mm.
        n_alpha: Pieces of each ring.
    """

    id: int
    edges: tuple[float, ...]
    n_alpha: int

    @property
    def shape(self) -> tuple[int, int]:
        """Angles, then rings: the order in which the voxels lie."""
        return self.n_alpha, len(self.edges) - 1


@dataclass(frozen=True)
class Binning:
    """The layers with voxels, in order."""

    layers: tuple[Rings, ...]

    @cached_property
    def n_voxels(self) -> int:
        return sum(alpha * rings for alpha, rings in (layer.shape for layer in self.layers))

    def names(self, *, whole: bool) -> tuple[str, ...]:
        """Of the voxels (``L2_a3_r1``), or of ``whole`` rings (``L2_r1``)."""
        if whole:
            return tuple(f"L{layer.id}_r{r}" for layer in self.layers for r in range(layer.shape[1]))
        return tuple(f"L{layer.id}_a{a}_r{r}" for layer in self.layers for a in range(layer.shape[0]) for r in range(layer.shape[1]))

    def rings(self, voxels: NDArray[np.float32]) -> NDArray[np.float32]:
        """[N, V] -> [N, V'] sums over whole rings."""
        parts, begin = [], 0
        for layer in self.layers:
            alpha, rings = layer.shape
            parts.append(voxels[:, begin : begin + alpha * rings].reshape(-1, alpha, rings).sum(axis=1))
            begin += alpha * rings
        return np.concatenate(parts, axis=1)


def read_binning(path: Path, particle: str = "") -> Binning:
    """The voxels of a particle: elements with a ``name``, in which ``Layer`` elements have ``id``, ``r_edges`` and ``n_bin_alpha``.

    Layers with less than two radii have no voxels.

    Raises:
        ConfigError: if several particles are there and none is named.
        DataError: if there is no such file, or it describes no voxels.
        UnknownNameError: if there is no particle of this name.
    """
    try:
        root = ET.parse(path).getroot()
    except OSError as error:
        raise DataError(f"There is no binning file {path}.", "Name it: --set data.binning=FILE.xml") from error
    except ET.ParseError as error:
        raise DataError(f"{path} is not an XML file: {error}.", _NAME_IT) from error
    found = {element.get("name", element.tag): element for element in root if element.find("Layer") is not None}
    if not found:
        raise DataError(f"{path} describes no layers.", _NAME_IT)
    if not particle and len(found) > 1:
        raise ConfigError(f"{path} describes several particles: {', '.join(found)}.", "Choose one: --set data.particle=NAME")
    if particle and particle not in found:
        raise UnknownNameError("particle", particle, list(found))
    element = found[particle] if particle else next(iter(found.values()))
    layers = [_layer(path, layer) for layer in element.iter("Layer")]
    binning = Binning(tuple(layer for layer in layers if len(layer.edges) > 1))
    if not binning.layers:
        raise DataError(f"{path} describes no layer with voxels.", _NAME_IT)
    return binning


def _layer(path: Path, element: ET.Element) -> Rings:
    try:
        edges = tuple(float(text) for text in element.attrib["r_edges"].split(",") if text.strip())
        layer = Rings(int(element.attrib["id"]), edges, int(element.attrib["n_bin_alpha"]))
    except (KeyError, ValueError) as error:
        text = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"A layer of {path} cannot be read: {text}.", "It needs id, r_edges (radii separated by commas) and n_bin_alpha (a number)."
        ) from error
    if any(a >= b for a, b in pairwise(edges)) or (len(edges) > 1 and layer.n_alpha < 1):
        raise DataError(f"Layer {layer.id} of {path} has radii that do not grow, or no angles: r_edges={element.get('r_edges')}.")
    return layer
