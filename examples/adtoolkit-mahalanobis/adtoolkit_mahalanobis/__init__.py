"""A Gaussian background p(x | m), and the Mahalanobis distance from a background."""
