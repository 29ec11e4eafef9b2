"""No value of the chart is without effect, and none is without a test."""

import pytest

from deploy.chart_values import OTHERS, given, paths, without
from deploy.rendered import KUBERNETES, chart, check_schemas


def test_every_value_has_its_row() -> None:
    assert sorted(OTHERS) == sorted(paths())


@pytest.mark.parametrize("path", OTHERS)
def test_a_value_changes_what_is_installed(path: str) -> None:
    objects = chart(given(path))
    assert objects != chart(without(path))
    known = [o for o in objects if not o["apiVersion"].startswith("monitoring.coreos.com/")]
    check_schemas(known, KUBERNETES[-1])
