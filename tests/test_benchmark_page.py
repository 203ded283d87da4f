import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_numbers_in_the_docs_are_those_of_the_results(tmp_path):
    """The page equals what its generator makes of benchmarks/results."""
    code = "import sys; sys.path.insert(0, 'benchmarks'); import tables; sys.stdout.buffer.write(tables.page().encode())"
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout

    assert (ROOT / "docs" / "explanation" / "benchmarks.md").read_bytes() == made
