"""The scratch folders of kernels, most of all where they lie on the host's own disk, without a mount namespace.

The one idea: what a snippet left may be made to hurt who tidies it: folders nested thousands deep, a million files. So
a tree is taken down without recursion and without long paths, and a folder that outgrows its bound while its kernel
runs is noticed by the free space of the disk, which costs one call to look at.

What it does not do: bytes in files that are open but deleted are not seen; the limits on descriptors and on the size
of a file bound those to 1 GiB.
"""

# The guest stays small, it is forked often: no pathlib.
# ruff: noqa: PTH116, PTH106, PTH118
from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

MAX_BYTES, MAX_FILES = 64 << 20, 2000  # in the scratch folder of one kernel
QUICKLY_REMOVED = 200  # entries; more are removed by a process of their own
_NOTICEABLE_BYTES, _NOTICEABLE_FILES = 32 << 20, 2000  # less space or fewer inodes than this gone: no look inside


def sweep(top: str) -> int:
    """Remove a kernel's folder for the server, in a process of its own where that would keep others waiting.

    Returns that process's id, or 0.
    """
    if remove_tree(top, QUICKLY_REMOVED):
        return 0
    pid = os.fork()
    if pid == 0:
        try:
            os.closerange(3, 1 << 16)  # the host must see the server end, not its sweeper
            remove_tree(top)
        finally:
            os._exit(0)
    return pid


def remove_tree(top: str, at_most: int = sys.maxsize) -> bool:
    """Remove a folder and all in it, however deep; False when it holds more than `at_most` entries and some are left.

    What cannot be removed stays, without an error. Nobody may be writing in it any more.
    """
    try:
        here = _enter(top, None)
    except OSError:
        return True
    waiting: list[list[str]] = []  # of each folder on the way down, the folders in it that are still there
    try:
        while True:
            folders, seen = _unlink_files(here, at_most)
            at_most -= seen
            if at_most < 0:
                return False
            waiting.append(folders)
            while waiting:
                if waiting[-1]:
                    with contextlib.suppress(OSError):
                        here = _move(here, waiting[-1][-1])
                        break
                    waiting[-1].pop()
                else:
                    waiting.pop()
                    if waiting:
                        here = _move(here, "..")
                        with contextlib.suppress(OSError):
                            os.rmdir(waiting[-1].pop(), dir_fd=here)
            if not waiting:
                break
    finally:
        os.close(here)
    with contextlib.suppress(OSError):
        os.rmdir(top)
    return True


def _enter(folder: str, where: int | None) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(folder, flags, dir_fd=where)
    except PermissionError:  # made with mode 0
        os.chmod(folder, 0o700, dir_fd=where)
        return os.open(folder, flags, dir_fd=where)


def _move(here: int, there: str) -> int:
    new = _enter(there, here)
    os.close(here)
    return new


def _unlink_files(here: int, at_most: int) -> tuple[list[str], int]:
    """Remove the files of an open folder; returns the names of its folders, and how many entries were seen."""
    with os.scandir(here) as entries:
        found = list(itertools.islice(entries, min(at_most + 1, sys.maxsize)))
    folders = [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]
    for entry in found:
        if not entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(OSError):
                os.unlink(entry.name, dir_fd=here)
    return folders, len(found)


class Watch:
    """Tells which of the folders below `root` have outgrown their bound, looking only when space has gone."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._bytes, self._files = self._free()

    def overgrown(self, folders: Iterable[str]) -> list[str]:
        free, files = self._free()
        gone = self._bytes - free > _NOTICEABLE_BYTES or self._files - files > _NOTICEABLE_FILES
        self._bytes, self._files = (free, files) if gone else (max(free, self._bytes), max(files, self._files))
        return [folder for folder in folders if _is_overgrown(os.path.join(self._root, folder))] if gone else []

    def _free(self) -> tuple[int, int]:
        try:
            found = os.statvfs(self._root)
        except OSError:
            return 0, 0
        return found.f_bavail * found.f_frsize, found.f_ffree


def _is_overgrown(top: str) -> bool:
    size = count = 0
    folders = [top]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    count += 1
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    if size > MAX_BYTES or count > MAX_FILES:
                        return True
        except FileNotFoundError:
            continue  # its kernel lives, and removes files itself
        except OSError:
            return True  # a path too long to walk
    return False


_own = ""  # the folder of the kernel that this is


def own(folder: str) -> None:
    """In a kernel, before its first snippet: this is the folder where `ignore_modes` holds."""
    global _own
    _own = folder


def ignore_modes() -> None:
    """Let `os.chmod` and `os.utime` do nothing to files in a kernel's folder: the calls are refused, and shutil.copy
    needs them. For other files they fail as before. To be called in the server, before its first fork.
    """
    os.chmod, os.utime = _lenient(os.chmod), _lenient(os.utime)


def _lenient(change: Callable[..., None]) -> Callable[..., None]:
    def wrapper(path: Any, *arguments: Any, **options: Any) -> None:
        try:
            change(path, *arguments, **options)
        except PermissionError:
            if not _own or isinstance(path, int):
                raise
            if not os.path.realpath(os.fsdecode(path)).startswith(os.path.realpath(_own) + os.sep):
                raise
            os.stat(path)  # of one that is not there, the truth

    return wrapper
