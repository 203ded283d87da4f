"""Simulated proton-proton collisions: dijets of QCD and of a W' -> X Y resonance, in the LHC Olympics columns.

Needs the optional packages of the extra ``simulate``. One idea per file: `settings` (what), `pythia` (collisions), `detector` and
`towers` (what is measured), `jets` (anti-kT and N-subjettiness), `chunk` and `run` (seeds, processes, resume), `files` (HDF5).
"""

from adtoolkit.simulate.settings import COLUMNS, DijetSettings

__all__ = ["COLUMNS", "DijetSettings"]
