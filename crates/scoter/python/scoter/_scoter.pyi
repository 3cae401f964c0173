"""The server, and the objects in the environ of an application (PEP 3333)."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Protocol, final

from _typeshed import WriteableBuffer
from typing_extensions import Self

__all__ = [
    "Errors",
    "FileWrapper",
    "Input",
    "RequestTimeout",
    "StartResponse",
    "UwsgiServer",
    "VERSION",
    "Write",
    "launch",
    "main",
    "worker_id",
]

VERSION: Final[str]

def main(arguments: Sequence[str]) -> int:
    """Run the command line ``arguments``, the program's name first; return the exit code."""

def launch() -> int:
    """Run a launcher, which a master has started; return the exit code."""

def worker_id() -> int | None:
    """Return the number of this worker among those that serve now, from 1; ``None`` elsewhere."""

class RequestTimeout(BaseException):
    """Raised in a request that has run for longer than ``--request-timeout``.

    The client has already been answered, and nothing more is sent to it. Like
    ``KeyboardInterrupt``, the exception can be raised at any line and is not an ``Exception``:
    clean up and let it pass.
    """

class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

@final
class Input:
    """``environ["wsgi.input"]``: the body of one request.

    A read returns all it was asked for, or raises: ``ConnectionResetError`` when the client
    sent less than it announced, ``TimeoutError`` after ``--body-timeout``; both are
    ``OSError``. After the end of the request it raises ``ValueError``; while another thread
    reads, ``RuntimeError``.
    """

    def read(self, size: int | None = None) -> bytes:
        """Return ``size`` bytes, fewer only at the end; all that is left without a size."""

    def readline(self, size: int | None = None) -> bytes:
        """Return the next line with its newline, or ``size`` bytes of a longer one."""

    def readlines(self, hint: int | None = None) -> list[bytes]:
        """Return the lines that are left, or as many as make up ``hint`` bytes."""

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer; return the number of bytes, fewer than its length only at the end."""

    def readable(self) -> bool: ...
    def writable(self) -> bool: ...
    def seekable(self) -> bool:
        """Whether the body is complete, in memory or on disk, so that one can go back."""

    def tell(self) -> int:
        """Return the position; ``io.UnsupportedOperation`` where it is not seekable."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Change the position and return it; ``io.UnsupportedOperation`` as for ``tell``."""

    def close(self) -> None: ...
    def flush(self) -> None: ...
    @property
    def closed(self) -> bool:
        """Whether the request is over."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> bytes: ...

@final
class Errors:
    """``environ["wsgi.errors"]``: a text stream into the error log, by whole lines."""

    def write(self, text: str) -> int: ...
    def writelines(self, lines: Sequence[str]) -> None: ...
    def flush(self) -> None: ...

@final
class Write:
    """What ``start_response`` returns: sends bytes at once, and waits for a slow client.

    Raises ``BrokenPipeError`` when the client went away, ``TimeoutError`` when it took
    nothing for ``--write-timeout``.
    """

    def __call__(self, data: bytes) -> None: ...

@final
class StartResponse:
    """The ``start_response`` of one request.

    Raises ``TypeError`` for a status or header of the wrong type, ``ValueError`` for one with
    the wrong content, ``AssertionError`` when it was called before and ``exc_info`` is
    missing. With ``exc_info`` after the first byte has left, raises that exception again.
    """

    def __call__(
        self,
        status: str,
        response_headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None] | None = None,
    ) -> Write: ...

@final
class FileWrapper:
    """``environ["wsgi.file_wrapper"]``: returned by an application, it sends a file.

    A plain file whose size is true leaves by ``sendfile``, from its current position;
    anything else that has a ``read``, files of /proc and /sys among it, is read in blocks.
    """

    def __new__(cls, filelike: _Readable, blksize: int = 8192) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> bytes: ...
    def close(self) -> None:
        """Close the file, if it can be closed."""

@final
class UwsgiServer:
    """The server, for the module ``uwsgi``: an implementation detail of it."""

    LOCKS: Final[int]

    def lock(self, number: int, seconds: float) -> bool:
        """Take a lock, and wait for that for so long; return whether this thread holds it."""

    def unlock(self, number: int) -> None: ...
    def is_locked(self, number: int) -> bool: ...
    def elect(self) -> bool:
        """Have this thread run the timers of all workers, unless another one does."""

    def resign(self) -> None: ...
    def raise_elected(self, signal: int) -> None: ...
    def raise_in(self, worker: int, signal: int) -> None: ...
    def raise_in_all(self, signal: int) -> None: ...
    def take_elected(self) -> list[tuple[int, int]]:
        """Return the signals for the elected worker, and how often each was raised."""

    def take_own(self) -> list[tuple[int, int]]:
        """Return the signals for this worker, and how often each was raised."""

    def count_signal(self) -> None: ...
    def timer(self, signal: int) -> int: ...
    def set_timer(self, signal: int, time: int) -> None: ...
    def cron(self, signal: int) -> int: ...
    def set_cron(self, signal: int, minute: int) -> None: ...
    def bell(self) -> int: ...
    def wait(self, bell: int, seconds: float) -> None:
        """Wait until something has happened since ``bell`` was read."""

    @staticmethod
    def is_ending() -> bool: ...
    def total_requests(self) -> int: ...
    def requests(self) -> int: ...
    @staticmethod
    def set_logvar(name: bytes, value: bytes) -> None: ...
    @staticmethod
    def get_logvar(name: bytes) -> bytes | None: ...
    @staticmethod
    def log_this_request() -> None: ...
    @staticmethod
    def disconnect() -> None: ...
    @staticmethod
    def limit_request(seconds: int) -> None: ...
    def workers(self) -> list[dict[str, Any]]: ...
