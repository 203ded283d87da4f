"""CATHODE: classifying anomalies through outer density estimation (arXiv:2109.00546)."""
