import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_numbers_in_the_docs_are_those_of_the_results():
    """Each page equals what its generator makes of benchmarks/results."""
    code = "import sys; sys.path.insert(0, 'benchmarks'); import json, tables; print(json.dumps(tables.pages()))"
    made = json.loads(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout)

    assert {path.name: path.read_text() for path in (ROOT / "docs" / "measured").glob("*.md")} == made
