"""What all tests share."""

import os

# As the command line does: threads that wait actively ruin each other where cores are shared. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
