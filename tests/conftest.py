"""What all tests share."""

import os

# The work of a test is too small for threads, and threads that wait actively ruin each other where cores are shared.
# Read when torch and scikit-learn are loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
