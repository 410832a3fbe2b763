from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from robobrain.bridge.credentials import make_credentials
from robobrain.bridge.rendezvous import find_address, find_server, remove_rendezvous, write_rendezvous
from robobrain.bridge.security import Address, ClientCredentials
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


def test_a_rendezvous_file_can_name_a_client_s_credentials(tmp_path: Path) -> None:
    make_credentials(tmp_path / "lab", ["node17"])
    make_credentials(tmp_path / "other", ["node17"])
    path, address = tmp_path / "where.json", Address(host="node17", port=1)
    write_rendezvous(path, address, tmp_path / "lab" / "client")
    named, own = (
        ClientCredentials.load(tmp_path / "lab/client"),
        ClientCredentials.load(tmp_path / "other/client"),
    )
    assert find_server(f"@{path}", None) == (address, named)
    assert find_server(f"@{path}", tmp_path / "other/client") == (address, own)
    write_rendezvous(path, address)
    assert find_server(f"@{path}", None) == (address, None)


def test_a_rendezvous_file_is_removed_only_by_who_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "where.json"
    before = write_rendezvous(path, Address(host="node17", port=1))
    now = write_rendezvous(path, Address(host="node18", port=1))
    remove_rendezvous(path, before)
    assert find_address(f"@{path}").host == "node18"
    remove_rendezvous(path, now)
    assert not path.exists()
    remove_rendezvous(path, now)


@pytest.mark.parametrize("content", [None, "", "[]", '{"host": "a"}', '{"host": "a", "port": "x"}'])
def test_a_file_that_tells_nothing_is_a_clear_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "where.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"where\.json tells no address.*--rendezvous"):
        find_address(f"@{path}")


def test_the_job_script_is_valid_shell() -> None:
    assert subprocess.run(["bash", "-n", DEPLOY / "serve.slurm"], check=False).returncode == 0
