from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from robobrain.bridge.rendezvous import find_address, write_rendezvous
from robobrain.bridge.security import Address
from robobrain.errors import ConfigurationError

DEPLOY = Path(__file__).parent.parent / "deploy"


def test_a_rendezvous_file_tells_where_the_server_is(tmp_path: Path) -> None:
    path = tmp_path / "where.json"
    for address in ("127.0.0.1:4711", "[::1]:4712"):
        write_rendezvous(path, Address.parse(address))
        assert str(find_address(f"@{path}")) == address
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert find_address("node7:1") == Address(host="node7", port=1)


def test_all_interfaces_become_the_name_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "node17")
    write_rendezvous(tmp_path / "where.json", Address.parse("0.0.0.0:1"))
    assert find_address(f"@{tmp_path / 'where.json'}").host == "node17"


@pytest.mark.parametrize("content", [None, "", "[]", '{"host": "a"}', '{"host": "a", "port": "x"}'])
def test_a_file_that_tells_nothing_is_a_clear_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "where.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"where\.json tells no address.*--rendezvous"):
        find_address(f"@{path}")


def test_the_job_script_is_valid_shell() -> None:
    assert subprocess.run(["bash", "-n", DEPLOY / "serve.slurm"], check=False).returncode == 0
