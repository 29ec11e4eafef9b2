"""A drill asks a person before it causes anything."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clusters import NAMESPACE
from drill_fixtures import HERE, LEASE, NODE, OTHER, Site
from pty_terminal import Typist, plain
from vipmanager.drill.mark import Mark
from vipmanager_lab.kube.kinds import NODES, PODS
from vipmanager_lab.kube.store import Key


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("y\r", 0, "ANSWERED AGAIN: 0 ms without an answer at the most"),
        ("\r", 2, "nothing was caused, as asked"),
        ("\x03", 130, "stopped by a signal; what it had changed is undone"),
    ],
    ids=["yes", "no", "Ctrl-C"],
)
def test_a_person_is_asked_once_every_address_answers(
    typed: str, code: int, said: str, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    words = (HERE, "--run", f"touch {done}", "--settle", "1s")
    command = [sys.executable, "-m", "vipmanager", "drill", *words]
    with Typist(command, columns=80) as person:
        person.expect(r"Every address answers\. To be caused: run: touch")
        person.expect(r"Go on\? \[y/N\] ")
        assert not done.exists()
        person.type(typed)
        assert person.end() == code
        assert said in " ".join(plain(person.printed).split())
    assert done.exists() is (code == 0)


def drilled(site: Site, *words: str) -> list[str]:
    """Give a command that drills in the site's cluster."""
    given = [f"{k}={v}" for k, v in site.pod.environ.items() if k.startswith(("KUBER", "VIPM"))]
    return ["env", *given, sys.executable, "-m", "vipmanager", "drill", HERE, *words]


def test_a_failover_that_came_before_the_answer_is_not_taken_for_the_drill_s(site: Site) -> None:
    command = drilled(site, "--delete-holder", "--lease", LEASE, "--settle", "1s")
    with Typist(command, columns=300) as person:
        person.expect(r"Go on\? \[y/N\] ")
        site.hold("standby", 2)
        person.type("y\r")
        assert person.end() == 2
        said = "Lease telco/group went from holder to standby meanwhile; start the drill again"
        assert said in " ".join(plain(person.printed).split())
    assert site.there("holder")


def test_a_drill_that_began_before_the_answer_is_seen(site: Site) -> None:
    site.add_pod("third", OTHER)
    with Typist(drilled(site, "--drain-node", OTHER, "--settle", "1s"), columns=300) as person:
        person.expect(r"Go on\? \[y/N\] ")
        mark = {"id": "1", "by": "drill-x", "since": time.time(), "until": time.time() + 60}
        change = {"metadata": {"annotations": {"vipmanager/drill": json.dumps(mark)}}}
        site.store.patch(Key(NODES, "", NODE), {**change, "spec": {"unschedulable": True}})
        person.type("y\r")
        assert person.end() == 2
        said = "there is never more than one at a time"
        assert said in " ".join(plain(person.printed).split())
    assert site.untouched(OTHER)
    assert site.there("third")


def test_a_mark_lasts_as_long_as_the_drill_however_long_the_answer_took() -> None:
    mark = Mark(id="1", by="drill-x", since=1000.0, until=1240.0)
    assert mark.begun(5000.0) == Mark(id="1", by="drill-x", since=5000.0, until=5240.0)


def test_a_reader_that_has_enough_is_no_signal() -> None:
    command = [sys.executable, "-m", "vipmanager", "drill", HERE, "--run", "true"]
    with subprocess.Popen(
        [*command, "--settle", "1s", "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"signal" not in process.stderr.read()


def test_a_pod_that_went_by_itself_is_no_success_of_the_drill(site: Site) -> None:
    command = drilled(site, "--delete-pod", f"{NAMESPACE}/standby", "--settle", "1s")
    with Typist(command, columns=300) as person:
        person.expect(r"Go on\? \[y/N\] ")
        site.store.delete(Key(PODS, NAMESPACE, "standby"))
        person.type("y\r")
        assert person.end() == 1
        said = "pod telco/standby was gone before it was deleted, so nothing was caused"
        assert said in " ".join(plain(person.printed).split())
