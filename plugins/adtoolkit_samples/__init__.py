"""Template events that another program has made, as a background estimator."""
