"""Starts a run of `vipmanager measure` for each line that it reads, and tells of its end.

    < ACCESS_KEY
    > began ACCESS_KEY PID
    > ended ACCESS_KEY CODE WHAT IT SAID LAST

A run is a fork of this process, which has imported all: so a hundred take seconds. The end of its
standard error is the end of its child too.
"""

import os
import select
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.session  # noqa: F401 - so that no run imports it

import vipmanager.cli.measure
import vipmanager.edges.wire.pool  # noqa: F401 - the same
from vipmanager.cli.main import main


@dataclass
class Run:
    key: str
    pid: int
    told: bytes = b""


def begin(key: str, options: Sequence[str]) -> tuple[int, Run]:
    said, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(said)
        os.dup2(end, 2)
        os.close(end)
        os.environ["AWS_ACCESS_KEY_ID"] = key
        code = 1
        try:
            code = main(options)
        except SystemExit as ended:
            code = int(str(ended.code))
        finally:
            os._exit(code)
    os.close(end)
    return said, Run(key, pid)


def serve(options: Sequence[str]) -> None:
    running: dict[int, Run] = {}
    reading = True
    while reading or running:
        ready, _, _ = select.select([*running, *([0] if reading else [])], [], [])
        for source in ready:
            piece = os.read(source, 65536)
            if source == 0:
                reading = bool(piece)
                for key in piece.decode().split():
                    said, run = begin(key, options)
                    running[said] = run
                    tell("began", key, run.pid)
            elif piece:
                running[source].told += piece
            else:
                os.close(source)
                run = running.pop(source)
                code = os.waitstatus_to_exitcode(os.waitpid(run.pid, 0)[1])
                tell("ended", run.key, code, *run.told.decode().splitlines()[-1:])


def tell(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


if __name__ == "__main__":
    serve(sys.argv[1:])
