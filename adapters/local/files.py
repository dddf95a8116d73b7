"""Objects as files; blocking, called in threads.

One file an object, so that a single rename commits content, content type and metadata together: the content, then
the ``StoredObject`` as JSON, then the JSON's length (8 bytes, big-endian) and a mark. Files are named by the SHA-256
of the key: any two keys live side by side (``a`` and ``a/b``, ``A`` and ``a``, 512 characters), and none leads outside.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import msgspec

from domain.errors import NotFound, RangeNotSatisfiable, StorageUnavailable
from domain.stored_object import ByteRange, StoredObject

_MARK: Final = b"PARLOBJ1"
_FOOTER: Final = 8 + len(_MARK)
_LONGEST_RECORD: Final = 64 * 2**10
_PIECE: Final = 256 * 2**10
_STALE: Final = 24 * 3600.0
# Neither a link nor a pipe that somebody put in an object's place is followed or waited for.
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_DENIED: Final = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def _disk() -> Iterator[None]:
    """Turn errors of the disk into ``StorageUnavailable``, without their paths."""
    try:
        yield
    except OSError as err:
        name = errno.errorcode.get(err.errno or 0, type(err).__name__)
        if err.errno in _FULL:
            raise StorageUnavailable(f"the disk of the object store is full ({name})") from err
        if err.errno in _DENIED:
            raise StorageUnavailable(f"the service may not use the directory of the object store ({name})") from err
        raise StorageUnavailable(f"the disk of the object store fails ({name})") from err


class ObjectFiles:
    """A directory of objects."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._objects = directory / "objects"
        self._drafts = directory / "drafts"

    def prepare(self) -> None:
        """Make the directories, and clear away drafts that a process left a day ago or longer.

        Raises:
            OSError: it cannot be done.
        """
        for directory in (self._directory, self._objects, self._drafts):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        now = time.time()
        for draft in self._drafts.iterdir():
            with suppress(FileNotFoundError):  # another process was quicker
                if now - draft.lstat().st_mtime > _STALE:
                    draft.unlink()

    def draft(self) -> Draft:
        """A new object that nobody sees yet; nothing is touched before its first call."""
        return Draft(self._drafts / secrets.token_hex(16), self._objects)

    def stat(self, key: str) -> StoredObject:
        """What is known of an object; raises ``NotFound``."""
        with self._open(key) as (_, record):
            return record

    def pieces(self, key: str, byte_range: ByteRange | None) -> Iterator[bytes]:
        """The content of an object, or a range; raises ``NotFound`` and ``RangeNotSatisfiable`` at the first piece.

        The file stays open, so that what was begun is read to its end even if the object is replaced or deleted.
        """
        with self._open(key) as (file, record):
            start, end = 0, record.size
            if byte_range is not None:
                if byte_range.start >= record.size:
                    raise RangeNotSatisfiable(record.size)
                start = byte_range.start
                end = record.size if byte_range.end is None else min(byte_range.end + 1, record.size)
            file.seek(start)
            while start < end:
                piece = file.read(min(_PIECE, end - start))
                if not piece:
                    raise StorageUnavailable("the disk of the object store fails (an object ended early)")
                start += len(piece)
                yield piece

    def delete(self, key: str) -> None:
        """Remove an object, for good: it does not come back with a power failure."""
        with _disk():
            with suppress(FileNotFoundError):
                _path(self._objects, key).unlink()
            _sync(self._objects)

    def list(self, prefix: str) -> list[StoredObject]:
        """The objects whose keys start with ``prefix``, by key; reads the end of every file, however many there are."""
        found = []
        with _disk():
            for path in self._objects.iterdir():
                with suppress(NotFound), self._open_path(path) as (_, record):
                    if record.key.startswith(prefix) and path == _path(self._objects, record.key):
                        found.append(record)
        return sorted(found, key=lambda record: record.key)

    def check(self) -> None:
        """Raise ``StorageUnavailable`` where objects could not be written."""
        draft = self.draft()
        try:
            draft.write(b"0")
            draft.flush()
        finally:
            draft.discard()
        with _disk():
            self._objects.stat()

    @contextmanager
    def _open(self, key: str) -> Iterator[tuple[IO[bytes], StoredObject]]:
        with self._open_path(_path(self._objects, key)) as (file, record):
            if record.key != key:
                raise _not_found()  # somebody moved files
            yield file, record

    @contextmanager
    def _open_path(self, path: Path) -> Iterator[tuple[IO[bytes], StoredObject]]:
        with _disk():
            try:
                descriptor = os.open(path, _READ)
            except FileNotFoundError as err:
                self._objects.stat()  # a directory that is gone is no missing object
                raise _not_found() from err
            except OSError as err:
                if err.errno in {errno.ELOOP, errno.ENXIO}:
                    raise _not_found() from err
                raise
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise _not_found()
            with os.fdopen(descriptor, "rb") as file:
                yield file, _record(file)


class Draft:
    """An object that is being written. Its calls may come from several threads: a cancelled one may still run."""

    def __init__(self, path: Path, objects: Path) -> None:
        self._path = path
        self._objects = objects
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._size = 0
        self._ended = False

    def write(self, piece: bytes) -> None:
        """Append to the content."""
        with self._lock, _disk():
            self._size += self._opened().write(piece)

    def flush(self) -> None:
        """Hand the content to the operating system, which says if there is no room for it."""
        with self._lock, _disk():
            self._opened().flush()

    def commit(self, key: str, content_type: str, metadata: Mapping[str, str]) -> StoredObject:
        """Put the content in the object's place, with what is known of it; it is on the disk when this returns."""
        with self._lock, _disk():
            file = self._opened()
            record = StoredObject(
                key=key, size=self._size, content_type=content_type, modified=datetime.now(UTC), metadata=metadata
            )
            encoded = msgspec.json.encode(record)
            file.write(encoded + len(encoded).to_bytes(8, "big") + _MARK)
            file.flush()
            os.fsync(file.fileno())
            file.close()
            self._path.replace(_path(self._objects, key))
            self._ended = True
            _sync(self._objects)
            return record

    def discard(self) -> None:
        """Leave nothing behind, unless it was committed; calls that come later, or have yet to begin, do nothing."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            if self._file is not None:
                with suppress(OSError):  # what is buffered may not fit the disk
                    self._file.close()
                with suppress(OSError):
                    self._path.unlink()

    def _opened(self) -> IO[bytes]:
        if self._ended:
            raise StorageUnavailable("the object is no longer wanted")
        if self._file is None:
            self._file = os.fdopen(os.open(self._path, _CREATE, 0o600), "wb")
        return self._file


def _path(objects: Path, key: str) -> Path:
    return objects / hashlib.sha256(key.encode()).hexdigest()


def _record(file: IO[bytes]) -> StoredObject:
    """The record at the end of a file; one that is no whole object is none."""
    length = file.seek(0, os.SEEK_END)
    if length >= _FOOTER:
        file.seek(length - _FOOTER)
        footer = file.read(_FOOTER)
        size = int.from_bytes(footer[:8], "big")
        if footer[8:] == _MARK and size <= min(_LONGEST_RECORD, length - _FOOTER):
            file.seek(length - _FOOTER - size)
            with suppress(msgspec.DecodeError):
                record = msgspec.json.decode(file.read(size), type=StoredObject)
                if record.size + size + _FOOTER == length:
                    return record
    raise _not_found()


def _sync(directory: Path) -> None:
    """Have a rename or a removal in ``directory`` survive a power failure."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_found() -> NotFound:
    return NotFound("there is no object under this key")
