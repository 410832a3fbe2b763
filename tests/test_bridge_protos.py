from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_committed_modules_are_what_the_schema_generates() -> None:
    script = Path(__file__).parent.parent / "scripts" / "generate_protos.py"
    result = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
