"""What an operator's kubectl says, and what is made of it."""

import json
from pathlib import Path

import pytest

from vipmanager.core.failures import Permanent
from vipmanager.edges.kubernetes.kubectl import refusal

BASELINE = (
    'Error from server (Forbidden): error when creating "STDIN": pods "vipmanager-admission" is '
    'forbidden: violates PodSecurity "baseline:latest": non-default capabilities'
)
WEBHOOK = 'Error from server: admission webhook "policy" denied the request: no NET_ADMIN'
NO_RIGHT = 'Error from server (Forbidden): pods is forbidden: User "jane" cannot create resource'
NO_NAMESPACE = 'Error from server (NotFound): namespaces "telco" not found'


def saying(folder: Path, text: str, code: int) -> tuple[str, ...]:
    """Give a kubectl that keeps what it gets, and says this."""
    script = 'cat >"$0/input"; echo "$*" >"$0/words"; cat "$0/said" >&2; exit ' + str(code)
    (folder / "said").write_text(text)
    return "sh", "-c", script, str(folder)


def test_a_namespace_that_admits_the_pod_is_asked_and_nothing_is_written(tmp_path: Path) -> None:
    assert not refusal("telco", saying(tmp_path, "Warning: something else", 0))
    words = (tmp_path / "words").read_text().split()
    assert words == ["create", "--dry-run=server", "--namespace", "telco", "-f", "-"]
    pod = json.loads((tmp_path / "input").read_text())
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["capabilities"]["add"] == ["NET_ADMIN"]


@pytest.mark.parametrize("said", [BASELINE, WEBHOOK])
def test_a_refusal_is_given_in_the_api_s_words(tmp_path: Path, said: str) -> None:
    assert refusal("telco", saying(tmp_path, f"Warning: something else\n{said}\n", 1)) == said


@pytest.mark.parametrize("said", [NO_RIGHT, NO_NAMESPACE, ""])
def test_what_is_no_refusal_of_the_pod_is_an_error(tmp_path: Path, said: str) -> None:
    with pytest.raises(Permanent) as raised:
        refusal("telco", saying(tmp_path, said, 1))
    assert raised.value.what == f"kubectl: {said or 'no reason given'}"
    assert "kubectl auth can-i create pods -n telco" in raised.value.hint


def test_without_kubectl_it_is_named() -> None:
    with pytest.raises(Permanent, match="kubectl can't be started"):
        refusal("telco", ("/no/such/kubectl",))
