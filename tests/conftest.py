"""What all tests share."""

import os
import signal

# The work of a test is too small for threads, and threads that wait actively ruin each other where cores are shared.
# Read when torch and scikit-learn are loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that runs the tests in the background has interrupts ignored, which the programs that tests start would inherit.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
