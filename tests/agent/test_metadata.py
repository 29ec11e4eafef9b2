"""IMDS in every mood: the pod learns which ENI is which, or says why it can't."""

from dataclasses import replace
from typing import Any

from agent_fixtures import Stage


def mood(stage: Stage, **options: Any) -> None:  # noqa: ANN401
    imds, instance = stage.world.imds, stage.world.nodes["a"].instance
    imds.set_options(instance, replace(imds.options(instance), **options))


def macs(stage: Stage, zone: str = "a") -> list[str]:
    ids = stage.enis(zone)
    found = {e.id: e.mac for e in stage.world.account.state().enis}
    return [found[i] for i in ids]


STATIC = {
    "AWS_ACCESS_KEY_ID": "AKIALAB",
    "AWS_SECRET_ACCESS_KEY": "lab",
}
"""Credentials that don't come from IMDS, as with EKS Pod Identity."""


def test_imds_v1_serves_where_v2_is_refused_and_v1_allowed(stage: Stage) -> None:
    mood(stage, v1=True, v2=False)
    assert stage.init(stage.pod(), **STATIC).wait() == 0
    assert stage.points_at("a")


def test_imds_v1_is_not_used_where_it_is_switched_off(stage: Stage) -> None:
    mood(stage, v1=True, v2=False)
    agent = stage.init(stage.pod(), **STATIC, AWS_EC2_METADATA_V1_DISABLED="true")
    assert agent.wait() == 1
    assert any("IMDS answered PUT token with 403" in text for text in agent.text)


def test_a_hop_limit_of_1_is_named_with_its_remedy(stage: Stage) -> None:
    mood(stage, hop_limit=1)
    agent = stage.init(stage.pod(), **STATIC, InitTimeoutSeconds="3")
    assert agent.wait() == 1
    assert any("HttpPutResponseHopLimit" in text for text in agent.text), agent.text
    assert stage.world.writes() == 0


def test_without_imds_a_region_and_the_macs_are_enough(stage: Stage) -> None:
    mood(stage, hop_limit=1)
    agent = stage.init(stage.pod(), **STATIC, AWS_REGION="eu-central-1")
    assert agent.wait() == 0, agent.text
    assert stage.points_at("a")


def test_an_eni_that_imds_lists_without_its_keys_is_known_from_ec2(stage: Stage) -> None:
    mood(stage, lagging=frozenset(macs(stage)))
    assert stage.init(stage.pod()).wait() == 0
    assert stage.points_at("a")


def test_an_eni_that_imds_does_not_list_is_known_from_ec2(stage: Stage) -> None:
    mood(stage, missing=frozenset(macs(stage)))
    assert stage.init(stage.pod()).wait() == 0
    assert stage.points_at("a")


def test_a_stale_eni_in_imds_does_not_beat_ec2(stage: Stage) -> None:
    state = stage.world.account.state()
    mine = next(e for e in state.enis if e.id == stage.enis("a")[0])
    ghost = replace(mine, id="eni-0000000000000dead", subnet=stage.world.subnets["b1"])
    mood(stage, missing=frozenset({mine.mac}), stale=(ghost,))
    agent = stage.init(stage.pod())
    assert agent.wait() == 0, agent.text
    assert stage.points_at("a")


def test_without_the_right_to_describe_enis_imds_is_believed_and_it_is_said(stage: Stage) -> None:
    stage.world.faults.deny("DescribeNetworkInterfaces")
    agent = stage.init(stage.pod())
    assert agent.wait() == 0
    assert any("allow ec2:DescribeNetworkInterfaces" in text for text in agent.text)
    assert stage.points_at("a")


def test_both_keys_of_the_network_card_index_are_understood(stage: Stage) -> None:
    for keys in ({"network-card"}, {"network-card-index"}, set[str]()):
        mood(stage, card_keys=frozenset(keys))
        assert (
            stage.init(stage.pod(name=f"pod-{len(keys)}{min(keys, default='')[-4:]}")).wait() == 0
        )
        stage.world.kill_pod(f"pod-{len(keys)}{min(keys, default='')[-4:]}")
