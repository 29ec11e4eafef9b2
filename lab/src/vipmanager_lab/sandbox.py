"""Runs a program in private mount, network and process namespaces that vanish with it.

Three processes, outermost first:

    outer    this file: waits, passes signals on, hands the exit code through
    unshare  util-linux: makes the namespaces; dies with `--kill-child`
    init     this file again: process 1 of the new namespace, parent of the program

Whichever of them dies, the kernel ends every process inside, and with the last process go the
namespaces and mounts. `init` reads a pipe from `outer`: a byte is a signal to pass on, its end
says that `outer` is gone. (`unshare` itself blocks SIGINT and SIGTERM while it waits.)

The file runs as a script on the bare interpreter: it imports the standard library only.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

_MARKER = "VIPMANAGER_SANDBOX"
_NAMESPACES = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_USER_NAMESPACE = ("--user", "--map-root-user")
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_MS_BIND, _MS_REC = 4096, 16384  # mount(2)


class SandboxError(Exception):
    """The sandbox cannot be made here; the text says why and what would allow it, in one line."""


def inside() -> bool:
    """Whether this process runs in a sandbox.

    The marker names the process namespace it was made for, so that one that leaked into another
    environment means nothing.
    """
    return os.environ.get(_MARKER) == str(Path("/proc/self/ns/pid").readlink())


def enter(argv: Sequence[str]) -> NoReturn:
    """Replace this process by `argv` running inside a sandbox; inside one, plainly by `argv`.

    The program sees process and network namespaces of its own with `lo` up, an empty /run that
    `ip netns` can write to, and the terminal, working directory and environment of the caller.
    Its exit code becomes this process's, 128 + N for death by signal N.

    Raises:
        SandboxError: `unshare` or `ip` is missing, or namespaces are not permitted.
    """
    command = list(argv) if inside() else _this_file("outer", *_flags(), "--", *argv)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvp(command[0], command)  # noqa: S606 - the point of the function


def _flags() -> tuple[str, ...]:
    """The options of `unshare` that work here, found by trying."""
    for tool, package in (("unshare", "util-linux"), ("ip", "iproute2")):
        if shutil.which(tool) is None:
            raise SandboxError(f"the lab needs `{tool}`: install {package}")
    as_root, as_user = _NAMESPACES, (*_USER_NAMESPACE, *_NAMESPACES)
    refusal = ""
    for flags in (as_root, as_user) if os.geteuid() == 0 else (as_user,):
        trial = ["unshare", *flags, "mount", "-t", "tmpfs", "tmpfs", "/run"]
        done = subprocess.run(trial, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return flags
        refusal = " ".join(done.stderr.split())
    raise SandboxError(
        f"namespaces are not permitted here ({refusal}): run as root, allow unprivileged user "
        "namespaces (sysctl kernel.unprivileged_userns_clone=1, "
        "kernel.apparmor_restrict_unprivileged_userns=0), or give the container CAP_SYS_ADMIN"
    )


def _this_file(*arguments: str) -> list[str]:
    """Run this file alone: -I -S keep start-up short and the caller's modules out."""
    return [sys.executable, "-I", "-S", os.path.realpath(__file__), *arguments]


def _outer(flags: Sequence[str], argv: Sequence[str]) -> int:
    """Start `unshare`, pass signals on until it ends, and return the exit code."""
    watched = {*_PASSED_ON, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    read_end, write_end = os.pipe()
    os.set_inheritable(read_end, True)  # noqa: FBT003 - positional-only in the standard library
    command = ["unshare", *flags, "--", *_this_file("init", str(read_end), "--", *argv)]
    child = os.posix_spawnp(command[0], command, os.environ, setsigmask=before)
    os.close(read_end)
    while True:
        caught = signal.sigwaitinfo(watched)
        if caught.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return _exit_code(status)
        elif caught.si_code <= 0:  # sent by a process: the terminal reaches the program itself
            with contextlib.suppress(BrokenPipeError):
                os.write(write_end, bytes([caught.si_signo]))


def _init(control: int, argv: list[str]) -> int:
    """Prepare the namespaces, run the program, reap orphans, and return the exit code."""
    os.set_inheritable(control, False)  # noqa: FBT003 - as above
    _private_run()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    environment = {**os.environ, _MARKER: str(Path("/proc/self/ns/pid").readlink())}
    try:
        program = os.posix_spawnp(argv[0], argv, environment)
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        return 127
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's goes to the program as well
    threading.Thread(target=_obey, args=(control, program), daemon=True).start()
    while True:
        ended, status = os.wait()
        if ended == program:
            return _exit_code(status)


def _obey(control: int, program: int) -> None:
    """Pass on the signals that arrive through the pipe; at its end, end everything."""
    while number := os.read(control, 1):
        with contextlib.suppress(ProcessLookupError):
            os.kill(program, number[0])
    os._exit(_exit_code(signal.SIGKILL))


def _private_run() -> None:
    """Put a tmpfs on /run for `ip netns`, with the directories that were there shown again.

    An interpreter, a checkout or a temporary directory may live below /run.
    """
    old = os.open("/run", os.O_RDONLY | os.O_DIRECTORY)
    try:
        names = sorted(
            entry.name
            for entry in os.scandir(old)
            if entry.is_dir() and not entry.is_symlink() and entry.name != "netns"
        )
        _mount("tmpfs", "/run", "tmpfs", 0)
        for name in names:
            Path("/run", name).mkdir()
            with contextlib.suppress(FileNotFoundError):  # it was removed meanwhile
                _mount(f"/proc/self/fd/{old}/{name}", f"/run/{name}", "", _MS_BIND | _MS_REC)
    finally:
        os.close(old)


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _main() -> int:
    split = sys.argv.index("--")
    role, options, argv = sys.argv[1], sys.argv[2:split], sys.argv[split + 1 :]
    return _outer(options, argv) if role == "outer" else _init(int(options[0]), argv)


if __name__ == "__main__":
    sys.exit(_main())
