"""The files that kubelet mounts."""

from pathlib import Path

import pytest

from vipmanager.core.failures import Permanent, Transient
from vipmanager.edges.kubernetes.service_account import AGE, MOUNT_KEY, Account


class Files:
    def __init__(self, folder: Path) -> None:
        self.token, self.now = folder / "token", 100.0
        self.token.write_text("first\n")
        self.account = Account({MOUNT_KEY: str(folder)}, now=lambda: self.now)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_token_is_read_again_when_it_is_old(files: Files) -> None:
    assert files.account.token() == "first"
    files.token.write_text("second")
    files.now += AGE - 0.1
    assert files.account.token() == "first"
    files.now += 0.2
    assert files.account.token() == "second"


def test_a_token_is_read_again_when_it_is_refused(files: Files) -> None:
    assert files.account.token() == "first"
    assert files.account.token(refused="first") == "first"
    files.token.write_text("second")
    assert files.account.token(refused="first") == "second"
    files.token.write_text("third")
    assert files.account.token(refused="first") == "second", "read by another call meanwhile"


def test_a_token_that_goes_away_is_named(files: Files) -> None:
    files.token.unlink()
    with pytest.raises(Permanent, match="token does not exist; set automount"):
        files.account.token()


def test_a_token_that_is_no_text_passes(files: Files) -> None:
    files.token.write_bytes(b"\xff\xfe")
    with pytest.raises(Transient, match="kubelet may be renewing it"):
        files.account.token()
