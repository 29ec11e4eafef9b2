"""An agent's life, from its first signal handler to the container's exit code."""

import os
import threading
import traceback
from collections.abc import Mapping

from vipmanager.app.lifecycle import FAILED, OK, Lifecycle
from vipmanager.app.wiring import live
from vipmanager.core.failures import Failure
from vipmanager.core.settings import Mode, Settings
from vipmanager.edges.logs import Log

BUG = 70
"""sysexits' EX_SOFTWARE."""


def run(settings: Settings, environ: Mapping[str, str] = os.environ) -> int:
    """Run the agent as the settings say; give the container's exit code."""
    log = Log(as_json=settings.log_json, level=settings.log_level)
    life = Lifecycle(log)

    def begin() -> None:
        try:
            life.code = live(settings, life, environ)
        except Failure as failure:
            log.line("error", "failed", str(failure))
            life.code = FAILED
        except Exception as bug:  # noqa: BLE001 - the last line of defence
            life.code = BUG
            log.line("error", "bug", _place(bug))
            if settings.log_level == "debug":
                traceback.print_exception(bug)
        finally:
            life.finish()

    life.obey_signals()
    # The loop has a thread of its own so that a signal is obeyed while a call is under way.
    threading.Thread(target=begin, name="loop", daemon=True).start()
    life.await_end()
    if life.code is not None:
        return life.code
    return OK if settings.mode is Mode.SIDECAR else FAILED


def _place(bug: Exception) -> str:
    """Say what a bug is and where, in one line."""
    where = traceback.extract_tb(bug.__traceback__)[-1]
    return (
        f"a bug: {type(bug).__name__}: {bug} in {where.name} ({where.filename}:{where.lineno}); "
        "please report it with the traceback that LogLevel=debug shows"
    )
