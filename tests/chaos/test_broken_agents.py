"""The suite has teeth: an agent that lost a part fails seeds that the sound one passes."""

import pytest

from chaos.run import play_seeds

SEEDS = {
    "retry": (643, 907, 2362, 4301),
    "read-back": (74, 77, 487, 706, 790, 867),
    "guard": (45, 154, 367, 12346),
}
"""Schedules in which the part is needed for certain: the fault waits for the first calls, or is
there from the beginning, and nothing else (a new process, a resync) stands in for the part."""

SAID = {"retry": ("points at",), "read-back": ("points at",), "guard": ("gateway", "captured")}
"""By what it is caught."""


@pytest.mark.parametrize("part", SEEDS)
def test_an_agent_that_lost_a_part_fails_and_the_sound_one_passes(part: str) -> None:
    sound = list(play_seeds(SEEDS[part]))
    assert not any(o.problems for o in sound), "\n\n".join(str(o) for o in sound if o.problems)
    broken = list(play_seeds(SEEDS[part], without=part))
    passed = [
        str(o) for o in broken if not any(word in p for p in o.problems for word in SAID[part])
    ]
    assert not passed, f"nobody missed the {part}:\n" + "\n\n".join(passed)
