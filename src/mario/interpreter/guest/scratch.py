"""The scratch folders of kernels, most of all where they lie on the host's own disk, without a mount namespace.

The one idea: what a snippet left may be made to hurt who tidies it: folders nested thousands deep, a million files. So
a tree is taken down without recursion and without long paths, and a folder that outgrows its bound while its kernel
runs is noticed by the free space of the disk, which costs one call to look at.

What it does not do: bytes in files that are open but deleted are not seen; the limits on descriptors and on the size
of a file bound those to 1 GiB.
"""

# The guest stays small, it is forked often: no pathlib.
# ruff: noqa: PTH101, PTH116, PTH104, PTH106, PTH108, PTH118
from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import Any

MAX_BYTES, MAX_FILES = 64 << 20, 2000  # in the scratch folder of one kernel
_NOTICEABLE_BYTES, _NOTICEABLE_FILES = 32 << 20, 2000  # less space or fewer inodes than this gone: no look inside


def remove_tree(top: str) -> None:
    """Remove a folder and all in it, whatever it holds; what cannot be removed stays, without an error.

    Folders are moved up to the top before they are entered, so no path grows long and nothing recurses.
    """
    with contextlib.suppress(OSError):
        while entries := list(os.scandir(top)):
            if not sum(_remove_entry(top, entry) for entry in entries):
                break
        os.rmdir(top)


def _remove_entry(top: str, entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)
            return True
        os.chmod(entry.path, 0o700)
        with os.scandir(entry.path) as children:
            for child in list(children):
                if child.is_dir(follow_symlinks=False):
                    os.chmod(child.path, 0o700)  # a folder must be writable to be moved: its `..` changes
                    os.rename(child.path, os.path.join(top, os.urandom(8).hex()))
                else:
                    os.unlink(child.path)
        os.rmdir(entry.path)
        return True
    return False


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


def ignore_modes(folder: str) -> None:
    """Let `os.chmod` and `os.utime` do nothing to files in `folder`: the calls are refused, and shutil.copy needs them.

    For others they fail as before. To be called in a kernel, before its first snippet.
    """
    inside = os.path.realpath(folder) + os.sep

    def lenient(change: Callable[..., None]) -> Callable[..., None]:
        def wrapper(path: Any, *arguments: Any, **options: Any) -> None:
            try:
                change(path, *arguments, **options)
            except PermissionError:
                if isinstance(path, int) or not os.path.realpath(os.fsdecode(path)).startswith(inside):
                    raise
                os.stat(path)  # of one that is not there, the truth

        return wrapper

    os.chmod, os.utime = lenient(os.chmod), lenient(os.utime)
