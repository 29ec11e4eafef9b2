"""Starts a container's process, in mount and process namespaces of its own, with its volumes.

Two processes: the outer one waits, and ends as the container does; its child is process 1 of the
container. A mount point that the machine has not is made in a copy of its nearest parent: a tmpfs
with every entry of the parent shown again. It is seen in the container alone, and ends with it.

The file runs as a script on the bare interpreter, with the container's folder as its argument:

    config.json   argv, cwd, and mounts: source, target, read_only
    failed        written where the process could not be started: why
    pid           written once the process runs its program: its id, as the outer process sees it
    root          an empty folder for the root file system, where that needs a copy
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

CANNOT_START = 128
"""The exit code of a container that was not started, as containerd's."""
_CLONE_NEWNS, _CLONE_NEWPID = 0x20000, 0x20000000  # sched.h
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_MOVE, _MS_REC = 1, 32, 4096, 8192, 16384  # mount(2)
_MS_PRIVATE = 1 << 18
_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    _check(_libc.mount(source.encode(), target.encode(), kind.encode(), flags, None), target)


def _volume(mount: Mapping[str, Any], spare: str) -> None:
    source = os.open(mount["source"], os.O_PATH | os.O_DIRECTORY)
    target = os.path.realpath(mount["target"])
    if not Path(target).is_dir():
        parent = next(one for one in Path(target).parents if one.is_dir())
        _copy(str(parent), spare)
        Path(target).mkdir(parents=True)
    _mount(f"/proc/self/fd/{source}", target, "", _MS_BIND)
    if mount["read_only"]:
        _mount("", target, "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY)
    os.close(source)


def _copy(folder: str, spare: str) -> None:
    """Put a tmpfs with the same entries in a folder's place."""
    place = spare if folder == "/" else folder
    old = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    entries = list(os.scandir(folder))
    mode = Path(folder).stat().st_mode & 0o7777
    _mount("tmpfs", place, "tmpfs", 0)
    Path(place).chmod(mode)
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):  # it was removed meanwhile
            _show(f"/proc/self/fd/{old}/{entry.name}", f"{place}/{entry.name}", entry)
    os.close(old)
    if folder == "/":
        os.chdir(place)
        _mount(".", "/", "", _MS_MOVE)
        os.chroot(".")


def _show(old: str, new: str, entry: os.DirEntry[str]) -> None:
    if entry.is_symlink():
        Path(new).symlink_to(Path(old).readlink())
    elif entry.is_dir():
        Path(new).mkdir()
        _mount(old, new, "", _MS_BIND | _MS_REC)
    else:
        Path(new).touch()
        _mount(old, new, "", _MS_BIND)


def _become(folder: Path, config: Mapping[str, Any]) -> NoReturn:
    """Be the container's process."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
    _check(_libc.unshare(_CLONE_NEWNS), "unshare")
    _mount("", "/", "", _MS_REC | _MS_PRIVATE)
    _mount("proc", "/proc", "proc", 0)
    for mount in sorted(config["mounts"], key=lambda one: len(Path(one["target"]).parts)):
        _volume(mount, str(folder / "root"))
    os.chdir(config["cwd"])
    program = config["argv"][0]
    try:
        os.execvp(program, config["argv"])  # noqa: S606 - the point of the function
    except OSError as error:
        raise OSError(error.errno, error.strerror, program) from error


def _main(folder: Path) -> int:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    os.dup2(1, 2)
    _check(_libc.unshare(_CLONE_NEWPID), "unshare")
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        try:
            _become(folder, config)
        except OSError as error:
            (folder / "failed").write_text(str(error), encoding="utf-8")
            os._exit(CANNOT_START)
    for one in (write, 1, 2):
        os.close(one)
    os.read(read, 1)  # ends when the child's end is closed: by exec, or by its death
    (folder / "pid.new").write_text(str(child), encoding="ascii")
    (folder / "pid.new").rename(folder / "pid")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
