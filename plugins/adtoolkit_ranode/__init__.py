"""R-ANODE: residual anomaly detection with density estimation (arXiv:2312.11629)."""
