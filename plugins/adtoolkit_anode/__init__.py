"""ANODE: anomaly detection with density estimation (arXiv:2001.04990)."""
