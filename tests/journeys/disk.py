"""A disk that can be full: the kernel itself refuses to let the platform's files grow.

Root gives the platform's home a small file system of its own and fills it, so that writes end with
ENOSPC. Who may not mount forbids the platform's processes to make any file larger (RLIMIT_FSIZE),
which PostgreSQL treats alike and which is harsher: it cannot even write its log of transactions.
"""

import os
import resource
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = "900m"
CHUNKS = (1 << 24, 1 << 20, 1 << 16, 1 << 12)


class SmallDisk:
    """A file system in memory."""

    def __init__(self, home: Path) -> None:
        """Put it where a home will be."""
        home.mkdir(parents=True)
        options = f"size={SIZE},mode=755"
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", home]
        subprocess.run(mount, check=True, capture_output=True)
        self.home = home
        self.filler = home / "filler"

    def fill(self) -> None:
        """Take every block that is free just now."""
        with self.filler.open("ab") as filler:
            for chunk in CHUNKS:
                try:
                    while True:
                        os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), chunk)
                except OSError:
                    continue

    def free(self) -> None:
        """Give them all back."""
        self.filler.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take the file system away; what still runs there keeps it until it ends."""
        subprocess.run(["umount", "-l", self.home], check=True)


class Limit:
    """A limit to how large the files of some processes may be."""

    def __init__(self, processes: Callable[[], Iterable[int]]) -> None:
        """Ask for the processes each time, since new ones come."""
        self.processes = processes

    def fill(self) -> None:
        """Let no file grow."""
        self._set(full=True)

    def free(self) -> None:
        """Let them grow again."""
        self._set(full=False)

    def remove(self) -> None:
        """Leave nothing behind: the limit was the processes' own."""

    def _set(self, *, full: bool) -> None:
        for pid in self.processes():
            try:
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (0 if full else hard, hard))
            except ProcessLookupError:
                continue


@contextmanager
def for_home(home: Path, processes: Callable[[], Iterable[int]]) -> Iterator[SmallDisk | Limit]:
    """Give a home a disk that can be filled."""
    disk: SmallDisk | Limit
    try:
        disk = SmallDisk(home)
    except (subprocess.CalledProcessError, FileNotFoundError):  # not root, or one who may not mount
        disk = Limit(processes)
    try:
        yield disk
    finally:
        disk.free()
        disk.remove()
