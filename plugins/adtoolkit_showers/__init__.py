"""Calorimeter showers: simulated ones, and files of others, for one-class searches."""
