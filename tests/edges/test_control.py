"""`yield`, `claim` and `status` reach the agent, whoever else comes; what is given up is void."""

import contextlib
import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from vipmanager.core.command import Command
from vipmanager.core.failures import Permanent, Transient
from vipmanager.edges.control import ADDRESS, ORDERS, Control, Hangs, NoAgent, ask
from vipmanager.edges.wire.listen import PLACES
from vipmanager_lab.netns import Netns

STATUS = {"ready": True, "why": "every floating IP is steered here"}
_numbers = itertools.count()


@pytest.fixture
def pod() -> Iterator[Netns]:
    """A network namespace, and with it an abstract address, of its own."""
    with Netns("control", str(next(_numbers))) as pod:
        yield pod


class Agent:
    """What a control socket leads to."""

    def __init__(self) -> None:
        self.obeyed: list[Command] = []
        self.asked, self.may_obey = threading.Semaphore(0), threading.Event()
        self.may_obey.set()
        self.void = threading.Event()
        Control(obey=self.obey, status=lambda: STATUS)

    def obey(self, order: Command, waits: Callable[[], bool]) -> None:
        self.asked.release()
        assert self.may_obey.wait(30)
        if not waits():
            self.void.set()
            raise Transient("nobody waits")
        self.obeyed.append(order)


@pytest.fixture
def agent(pod: Netns) -> Agent:
    return pod.call(Agent)


def typed(pod: Netns, question: str) -> dict[str, object]:
    return dict(pod.call(lambda: ask(question)))


def connected(pod: Netns) -> socket.socket:
    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        connection.connect(ADDRESS)
        return connection

    return pod.call(connect)


def test_status_and_orders_are_answered(pod: Netns, agent: Agent) -> None:
    assert typed(pod, "status") == STATUS
    assert typed(pod, "yield") == STATUS
    assert typed(pod, "claim") == STATUS
    assert agent.obeyed == [Command.YIELD, Command.CLAIM]
    with pytest.raises(Permanent, match="unknown order 'dance'"):
        typed(pod, "dance")


def test_without_an_agent_it_says_where_to_ask(pod: Netns) -> None:
    with pytest.raises(NoAgent, match="kubectl exec POD -c vipmanager"):
        typed(pod, "status")


def test_an_order_whose_asker_went_away_is_void(pod: Netns, agent: Agent) -> None:
    agent.may_obey.clear()
    with connected(pod) as asker:
        asker.sendall(b"yield\n")
        assert asker.recv(100) == b"heard\n"
        asker.sendall(b"do it\n")
        assert agent.asked.acquire(timeout=10)
    agent.may_obey.set()
    assert agent.void.wait(10)
    assert agent.obeyed == []


@pytest.mark.parametrize("said", [b"yield\n", b"yield\nno\n", b"yield", b"yield\ndo"])
def test_an_order_that_was_not_confirmed_is_void(pod: Netns, agent: Agent, said: bytes) -> None:
    with connected(pod) as asker:
        asker.sendall(said)
    typed(pod, "claim")
    assert agent.obeyed == [Command.CLAIM]


def test_a_few_orders_are_obeyed_at_a_time(pod: Netns, agent: Agent) -> None:
    agent.may_obey.clear()
    askers = [threading.Thread(target=typed, args=(pod, "yield")) for _ in range(ORDERS)]
    for each in askers:
        each.start()
        assert agent.asked.acquire(timeout=10)
    with pytest.raises(Permanent, match="orders are being obeyed"):
        typed(pod, "claim")
    assert typed(pod, "status") == STATUS
    agent.may_obey.set()
    for each in askers:
        each.join(10)
    assert agent.obeyed == [Command.YIELD] * ORDERS


def test_a_crowd_of_idle_connections_keeps_nobody_away(pod: Netns, agent: Agent) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(3 * PLACES):
            stack.enter_context(connected(pod))
        assert typed(pod, "status") == STATUS
        assert typed(pod, "yield") == STATUS
    assert agent.obeyed == [Command.YIELD]


@pytest.mark.usefixtures("agent")
def test_it_goes_on_after_descriptors_were_short(pod: Netns) -> None:
    """accept(2) fails with EMFILE, and takes nothing out of the queue."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    asker = pod.call(lambda: socket.socket(socket.AF_UNIX))
    highest = os.dup(0)
    os.close(highest)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
        asker.connect(ADDRESS)
        asker.sendall(b"status\n")
        asker.settimeout(0.3)
        with pytest.raises(TimeoutError):
            asker.recv(1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    asker.settimeout(10)
    with asker:
        assert json.loads(asker.makefile().readline()) == STATUS
    assert typed(pod, "yield") == STATUS


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x1b[2J\n",
        b"[1]\n",
        b"{}\n",
        b"\xff\xfe",
        b'{"ready"',
        b"[" * 100_000 + b"\n",
        b"heard\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_what_is_no_agent_is_told_in_one_line(pod: Netns, answer: bytes) -> None:
    def serve() -> None:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(ADDRESS)
        listening.listen()

        def reply() -> None:
            with listening, listening.accept()[0] as connection:
                connection.recv(100)
                connection.sendall(answer)

        threading.Thread(target=reply, daemon=True).start()

    pod.call(serve)
    with pytest.raises(Transient) as caught:
        typed(pod, "status")
    assert str(caught.value).isprintable()
    assert "the agent does not answer: " in str(caught.value)


def test_what_an_agent_says_leaves_the_terminal_alone(pod: Netns) -> None:
    tables = ", ".join(f"rtb-{n:017x}" for n in range(200))
    said = {"ready": False, "why": "\x1b[2J\nfine", "findings": [{"text": f"a\n{tables}"}]}
    pod.call(lambda: Control(obey=lambda *_: None, status=lambda: said))
    assert typed(pod, "status") == {
        "ready": False,
        "why": r"\x1b[2J\nfine",
        "findings": [{"text": rf"a\n{tables}"}],
    }


AGENT = """
import threading
from vipmanager.edges.control import Control
obeyed = []
Control(obey=lambda order, waits: obeyed.append(order), status=lambda: {"ready": not obeyed})
print("here", flush=True)
threading.Event().wait()
"""


@pytest.fixture
def other(pod: Netns) -> Iterator["subprocess.Popen[bytes]"]:
    """An agent in a process of its own."""
    process = pod.popen([sys.executable, "-c", AGENT], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    yield process
    process.kill()
    process.stdout.close()


@pytest.mark.parametrize("question", ["status", "yield", "claim"])
def test_an_agent_that_is_stopped_is_named_and_obeys_nothing_later(
    pod: Netns, other: "subprocess.Popen[bytes]", question: str
) -> None:
    other.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, other.pid, os.WSTOPPED | os.WNOWAIT)  # each of its threads has to notice
    with pytest.raises(Hangs) as caught:
        typed(pod, question)
    assert f"process {other.pid}) hangs: it is stopped (SIGSTOP)" in caught.value.what
    assert f"kill -CONT {other.pid}" in caught.value.hint
    other.send_signal(signal.SIGCONT)
    assert typed(pod, "status") == {"ready": True}
    assert typed(pod, question) == {"ready": question == "status"}


def test_an_agent_that_accepts_and_never_answers_hangs(pod: Netns) -> None:
    def serve() -> socket.socket:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(ADDRESS)
        listening.listen()
        return listening

    with pod.call(serve), pytest.raises(Hangs, match="hangs: it does not answer"):
        typed(pod, "status")


def test_a_queue_that_is_full_of_a_hanging_agent_s_guests_is_told_too(pod: Netns) -> None:
    def serve() -> socket.socket:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(ADDRESS)
        listening.listen(0)
        return listening

    with pod.call(serve), connected(pod), pytest.raises(Hangs, match="hangs"):
        typed(pod, "status")
