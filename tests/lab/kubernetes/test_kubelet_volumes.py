import stat
from pathlib import Path
from typing import Any

import pytest

from lab.kubernetes.test_kubelet_environment import POD, SOURCES, Known
from vipmanager_lab.kubernetes.kubelet.environment import ConfigError
from vipmanager_lab.kubernetes.kubelet.volumes import File, Reader, Token, Tokens, publish


def reader(sources: Known = SOURCES) -> Reader:
    return Reader(POD, sources, Tokens(lambda spec: Token(str(spec), 0.0, 3600.0), lambda: 1.0))


def test_a_volume_has_the_entries_of_what_it_names() -> None:
    assert reader().contents({"name": "v", "configMap": {"name": "cm"}}) == {
        "A": File(b"1", 0o644),
        "B": File(b"2", 0o644),
    }
    secret = {"secretName": "se", "defaultMode": 0o400, "items": [{"key": "key", "path": "a/b"}]}
    assert reader().contents({"name": "v", "secret": secret}) == {"a/b": File(b"k", 0o400)}
    assert reader().contents({"name": "v", "emptyDir": {}}) is None


def test_a_projected_volume_has_all_its_sources() -> None:
    sources: list[dict[str, Any]] = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}},
        {"configMap": {"name": "none", "optional": True}},
        {
            "downwardAPI": {
                "items": [{"path": "ns", "fieldRef": {"fieldPath": "metadata.namespace"}}]
            }
        },
    ]
    assert reader().contents({"name": "v", "projected": {"sources": sources}}) == {
        "token": File(b"{'expirationSeconds': 600}", 0o644),
        "ns": File(b"n", 0o644),
    }


def test_what_is_missing_is_an_error_unless_it_is_optional() -> None:
    with pytest.raises(ConfigError, match='configmap "none" not found'):
        reader().contents({"name": "v", "configMap": {"name": "none"}})
    items = [{"key": "gone", "path": "p"}]
    with pytest.raises(ConfigError, match="no key gone"):
        reader().contents({"name": "v", "configMap": {"name": "cm", "items": items}})
    assert reader().contents({"name": "v", "secret": {"secretName": "x", "optional": True}}) == {}


def test_files_are_replaced_in_one_step(tmp_path: Path) -> None:
    publish(tmp_path, {"a": File(b"1", 0o600), "d/b": File(b"2", 0o644)})
    reading = (tmp_path / "a").open("rb")
    before = (tmp_path / "..data").readlink()
    publish(tmp_path, {"a": File(b"new", 0o644), "c": File(b"3", 0o644)})
    assert (tmp_path / "..data").readlink() != before
    with reading:
        assert reading.read() == b"1"
    shown = {one.name: one.read_bytes() for one in tmp_path.iterdir() if one.name[0] != "."}
    assert shown == {"a": b"new", "c": b"3"}
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
    assert not (tmp_path / before).exists()


@pytest.mark.parametrize("path", ["/a", "../a", "..data", "a/../../b", ""])
def test_no_file_leaves_its_volume(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError):
        publish(tmp_path, {path: File(b"", 0o644)})


@pytest.mark.parametrize(("life", "renewed"), [(3600, 2880.0), (7 * 86400, 86400.0)])
def test_a_token_is_renewed_at_80_percent_of_its_life_or_a_day_old(
    life: float, renewed: float
) -> None:
    now, asked = 0.0, []

    def request(spec: Any) -> Token:  # noqa: ANN401
        asked.append(spec)
        return Token(str(len(asked)), now, now + life)

    tokens = Tokens(request, lambda: now)
    source = {"path": "t", "audience": "x"}
    assert tokens.get(source) == "1"
    now = renewed - 1
    assert tokens.get(source) == "1"
    now = renewed
    assert tokens.get(source) == "2"
    assert asked[0] == {"expirationSeconds": 3600, "audiences": ["x"]}
