"""Locks between processes, on every file system."""

import errno
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

REFUSED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}  # by a file system that has no locks, such as some NFS


def file_lock(path: Path) -> BaseFileLock:
    """Return a lock between processes, which ends with the one that holds it; its file lies at `path`, or beside it.

    Where the file system refuses locks, a file that exists stands for one.
    """
    lock = FileLock(path)
    try:
        with lock.acquire(timeout=0):
            return lock
    except Timeout:
        return lock
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        return SoftFileLock(path.with_name(f"{path.name}.held"))
