"""The trimmed service models are the installed botocore's."""

import importlib.machinery
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vipmanager.edges.aws.scratch import MEASURE_MODELS
from vipmanager.edges.aws.session import MODELS

SCRIPT = Path(__file__).parents[2] / "scripts" / "trim-models"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("trim_models", str(SCRIPT))
    spec = importlib.util.spec_from_loader("trim_models", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("service", ["arc-zonal-shift", "ec2", "sts"])
def test_a_trimmed_model_is_a_part_of_the_installed_one(script: ModuleType, service: str) -> None:
    _same(MODELS, service, *script.trimmed(service, script.KEPT[service]))


def test_so_is_what_measure_adds_to_ec2s(script: ModuleType) -> None:
    _same(MEASURE_MODELS, "ec2", *script.trimmed("ec2", script.MEASURED))


def _same(folder: Path, service: str, version: str, model: dict[str, Any]) -> None:
    kept = json.loads((folder / service / version / "service-2.json").read_text())
    assert kept == json.loads(json.dumps(model)), "botocore changed: run scripts/trim-models"
