"""Sources of credentials that fail, and files of theirs that come late or go."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent_fixtures import Stage, Typed, converged, wait_until
from vipmanager_lab.world import World

NONE = "/nonexistent/token"


def irsa(stage: Stage, token: Path | str) -> dict[str, str]:
    """The variables that EKS gives a pod whose service account has a role."""
    stage.world.no_role = True
    return {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_ROLE_ARN": f"arn:aws:iam::{stage.world.account.id}:role/vip",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("a.web.identity.token")
    return path


def says(agent_text: list[str], *words: str) -> bool:
    return any(all(word in text for word in words) for text in agent_text)


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (
            {"AWS_ENDPOINT_URL_EC2": "vpce-0a.ec2.eu-central-1.vpce.amazonaws.com"},
            "AWS_ENDPOINT_URL_EC2='vpce-0a.ec2.eu-central-1.vpce.amazonaws.com': expected a URL",
        ),
        ({"AWS_PROFILE": "nobody"}, "AWS_PROFILE='nobody': expected a profile"),
        ({"AWS_CA_BUNDLE": NONE}, f"AWS_CA_BUNDLE='{NONE}': expected a file"),
        ({"AWS_RETRY_MODE": "often"}, "AWS_RETRY_MODE='often': expected legacy"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": NONE}, f"AWS_WEB_IDENTITY_TOKEN_FILE='{NONE}': expected"),
    ],
)
def test_a_mistake_in_a_variable_of_the_sdk_ends_the_agent_before_anything(
    stage: Stage, config: dict[str, str], line: str
) -> None:
    config = {**irsa(stage, "/etc/hostname"), **config}
    pod = stage.pod()
    agent = stage.init(pod, **config)
    assert agent.wait() == 2, agent.text
    (said,) = agent.text
    assert said.startswith(f"vipmanager run: {line}")
    for command in ("plan", "status", "cleanup"):
        typed = Typed(stage, pod, command, **config)
        assert typed.code == 1
        assert typed.err == said.replace("vipmanager run:", f"vipmanager {command}:") + "\n"
    assert not stage.world.endpoint.calls


@pytest.mark.parametrize(
    ("config", "check"),
    [
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": NONE}, "credentials"),
        ({"AWS_PROFILE": "nobody"}, "credentials"),
        ({"AWS_ENDPOINT_URL_EC2": "ec2.example.com"}, "endpoint"),
        ({"AWS_RETRY_MODE": "often"}, "environment"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "nonsense", "AWS_REGION": "eu-central-1"}, "imds"),
        ({"AWS_MAX_ATTEMPTS": "many", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "x"}, "imds"),
    ],
)
def test_doctor_runs_whatever_is_broken_and_says_so_in_the_check(
    stage: Stage, config: dict[str, str], check: str
) -> None:
    config = {**irsa(stage, "/etc/hostname"), **config}
    typed = Typed(stage, stage.pod(), "doctor", "--output", "json", **config)
    assert typed.code == 1, typed.err
    assert not typed.err
    checks = {c["check"]: c for c in json.loads(typed.out)["checks"]}
    assert checks["kernel"]["state"] == "ok"
    name = next(iter(config.keys() - irsa(stage, "").keys() - {"AWS_REGION"}), "TOKEN_FILE")
    assert checks["environment"]["state"] == "error"
    assert any(name in f["what"] for f in checks["environment"]["findings"])
    if check != "imds" or "AWS_REGION" in config:
        assert checks[check]["state"] != "ok"


def test_irsa_gives_credentials(stage: Stage, token: Path) -> None:
    agent = stage.init(stage.pod(), **irsa(stage, token))
    assert agent.wait() == 0, agent.text
    assert stage.points_at("a")
    assert stage.world.endpoint.counts()["AssumeRoleWithWebIdentity"] == 1


def test_a_sidecar_waits_for_its_token_file(stage: Stage, token: Path) -> None:
    token.unlink()
    agent = stage.sidecar(stage.pod(), **irsa(stage, token))
    agent.wait_for(lambda r: f"AWS_WEB_IDENTITY_TOKEN_FILE='{token}'" in str(r))
    token.write_text("")
    agent.wait_for(lambda r: "it is empty" in str(r))
    token.write_text("a.web.identity.token")
    agent.wait_for(converged)
    assert stage.points_at("a")


def test_a_sidecar_outlives_its_token_file_and_heals_when_it_is_back(
    stage: Stage, token: Path
) -> None:
    world = stage.world
    agent = stage.sidecar(stage.pod(), **irsa(stage, token))
    agent.wait_for(converged)
    token.unlink()
    for key in {c.access_key for c in world.endpoint.calls if c.access_key}:
        world.account.credentials.revoke(key)
    agent.wait_for(lambda r: f"AWS_WEB_IDENTITY_TOKEN_FILE='{token}'" in str(r))
    world.account.drop_route(world.tables[0], "192.168.0.1/32")
    token.write_text("a.web.identity.token")
    wait_until(lambda: stage.points_at("a"))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("InvalidIdentityToken", 400),
        ("IDPCommunicationError", 400),
        ("ExpiredTokenException", 400),
        ("Throttling", 400),
        ("ServiceUnavailable", 503),
    ],
)
def test_a_passing_fault_of_sts_is_waited_out(
    stage: Stage, token: Path, code: str, status: int
) -> None:
    stage.world.faults.fail_next("AssumeRoleWithWebIdentity", code, status, times=3)
    agent = stage.init(stage.pod(), **irsa(stage, token))
    assert agent.wait() == 0, agent.text
    assert says(agent.text, "sts:AssumeRoleWithWebIdentity for arn:aws:iam::", code)
    assert not says(agent.text, "ec2:", code)
    assert stage.points_at("a")


def test_a_fault_of_sts_that_stays_is_told_at_the_deadline(stage: Stage, token: Path) -> None:
    stage.world.faults.fail_next("AssumeRoleWithWebIdentity", "InvalidIdentityToken", times=1000)
    agent = stage.init(stage.pod(), **irsa(stage, token), InitTimeoutSeconds="3")
    assert agent.wait() == 1
    assert says(agent.text, "the deadline passed", "sts:AssumeRoleWithWebIdentity")
    assert says(agent.text, "InvalidIdentityToken", "list-open-id-connect-providers")


def test_a_role_that_the_pod_may_not_assume_is_named_with_its_trust_policy(
    stage: Stage, token: Path
) -> None:
    stage.world.faults.deny("AssumeRoleWithWebIdentity")
    config = irsa(stage, token)
    agent = stage.init(stage.pod(), **config)
    assert agent.wait() == 1
    assert says(agent.text, "sts:AssumeRoleWithWebIdentity", config["AWS_ROLE_ARN"], "AccessDenied")
    assert says(agent.text, f"trust policy of {config['AWS_ROLE_ARN']}")
    assert not says(agent.text, "allow ec2:")


def test_a_route_role_that_is_denied_is_named_with_what_to_allow(stage: Stage) -> None:
    role = f"arn:aws:iam::{stage.world.account.id}:role/routes"
    stage.world.faults.deny("AssumeRole")
    agent = stage.init(stage.pod(), RouteRoleArn=role)
    assert agent.wait() == 1
    assert says(agent.text, f"sts:AssumeRole for {role}: AccessDenied")
    assert says(agent.text, f"allow sts:AssumeRole on {role}", f"trust policy of {role}")
    assert not says(agent.text, "allow ec2:")
    typed = Typed(
        stage, stage.world.start_pod("other", "b", stage.floating), "plan", RouteRoleArn=role
    )
    assert f"allow sts:AssumeRole on {role}" in " ".join(typed.out.split())


def test_a_route_role_whose_sts_is_away_for_a_while_is_waited_for(stage: Stage) -> None:
    role = f"arn:aws:iam::{stage.world.account.id}:role/routes"
    stage.world.faults.fail_next("AssumeRole", "InternalFailure", 500, times=20)
    agent = stage.init(stage.pod(), RouteRoleArn=role, InitTimeoutSeconds="60")
    assert agent.wait(60) == 0, agent.text
    assert stage.points_at("a")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("echo out of keys >&2; exit 3", "out of keys"),
        ("echo no json", "credential_process"),
        ("echo '{}'", "Unsupported version"),
    ],
)
def test_a_credential_process_that_fails_is_named_and_a_sidecar_lives_on(
    stage: Stage, tmp_path: Path, program: str, said: str
) -> None:
    stage.world.no_role = True
    script, config = tmp_path / "keys.sh", tmp_path / "config"
    script.write_text(f"{program}\n")
    config.write_text(f"[default]\ncredential_process = sh {script}\n")
    agent = stage.sidecar(stage.pod(), AWS_CONFIG_FILE=str(config))
    agent.wait_for(lambda r: "no credentials from credential_process" in str(r) and said in str(r))
    keys = {"Version": 1, "AccessKeyId": "AKIALAB", "SecretAccessKey": "lab"}
    script.write_text(f"echo '{json.dumps(keys)}'\n")
    agent.wait_for(converged)


def test_a_pod_identity_agent_that_is_away_is_named_and_waited_for(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    stage = Stage(make_world())
    stage.world.no_role = True
    pod = stage.pod()
    agent = stage.sidecar(pod, AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:8099/creds")
    agent.wait_for(lambda r: "EKS Pod Identity" in str(r) and "eks-pod-identity-agent" in str(r))
    keys = {"AccessKeyId": "ASIALAB", "SecretAccessKey": "lab", "Token": "lab"}
    (tmp_path / "creds").write_text(json.dumps({**keys, "Expiration": "2099-01-01T00:00:00Z"}))
    server = pod.popen(
        [sys.executable, "-m", "http.server", "8099", "--bind", "127.0.0.1", "-d", str(tmp_path)]
    )
    agent.wait_for(converged)
    server.kill()
    server.wait()
