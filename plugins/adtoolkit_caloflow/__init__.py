"""CaloFlow: the likelihood of calorimeter showers as an anomaly score (arXiv:2312.11618)."""
