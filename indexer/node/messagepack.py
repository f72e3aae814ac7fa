"""A MessagePack document walked as a stream: read what is wanted, skip the rest, name the place of what is wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, TypeAlias

import msgpack

from liqtruth.indexer.errors import WireError
from liqtruth.indexer.node.compressed import DAMAGED

READ_BYTES: Final = 1 << 20
MOST_ITEMS: Final = 1 << 16
"""Of a list or map that is decoded whole; long ones are walked. A header of five bytes may announce four billion."""
LONGEST_TEXT: Final = 1 << 20
KIND: Final = "node state"
NOT_AS_DOCUMENTED: Final = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError)

OnProgress: TypeAlias = Callable[[float], None]


@contextmanager
def as_documented(source: str, place: Callable[[], str]) -> Iterator[None]:
    """Refuses, naming the place, whatever is missing or of another type than the layout says."""
    try:
        yield
    except KeyError as error:
        raise WireError(KIND, source, f"{place()} lacks {error.args[0]!r}") from None
    except (*NOT_AS_DOCUMENTED, msgpack.FormatError, msgpack.StackError, msgpack.BufferFull) as error:
        text = f"{place()} is not laid out as documented: {str(error) or type(error).__name__}"
        raise WireError(KIND, source, text) from None


class Cursor:
    """Walks one MessagePack document; what the caller does not read of a field or item is skipped."""

    def __init__(self, stream: IO[bytes], source: str) -> None:
        self.source = source
        self.path: list[str] = []
        self._unread = True
        self._unpacker = msgpack.Unpacker(
            stream,
            read_size=READ_BYTES,
            raw=False,
            strict_map_key=False,
            unicode_errors="replace",
            max_array_len=MOST_ITEMS,
            max_map_len=MOST_ITEMS,
            max_str_len=LONGEST_TEXT,
            max_bin_len=LONGEST_TEXT,
            max_ext_len=LONGEST_TEXT,
        )

    @property
    def place(self) -> str:
        return "".join(self.path).lstrip(".") or "the document"

    def value(self) -> Any:
        """The next value, decoded whole."""
        self._unread = False
        return self._unpacker.unpack()

    def fields(self) -> Iterator[str]:
        """Names of a map's fields, each standing before its value."""
        self._unread = False
        for _ in range(self._header(self._unpacker.read_map_header, "map")):
            name = self._unpacker.unpack()
            if not isinstance(name, str):
                self.refuse(f"{self.place} has the key {name!r} where names are documented")
            yield from self._step(f".{name}", name)

    def items(self) -> Iterator[int]:
        """Indices of a list's items, each standing before its value."""
        self._unread = False
        for index in range(self._header(self._unpacker.read_array_header, "list")):
            yield from self._step(f"[{index}]", index)

    def entries(self) -> Iterator[Any]:
        """The items of a long list, each decoded whole."""
        self._unread = False
        unpack = self._unpacker.unpack
        length = self._header(self._unpacker.read_array_header, "list")
        self.path.append("")
        for index in range(length):
            self.path[-1] = f"[{index}]"
            yield unpack()
        self.path.pop()

    def refuse(self, problem: str) -> None:
        raise WireError(KIND, self.source, problem)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns whatever goes wrong inside into one line that names the place in the document."""
        try:
            with as_documented(self.source, lambda: self.place):
                yield
        except (msgpack.OutOfData, *DAMAGED):
            read = self._unpacker.tell()
            self.refuse(f"cut off after {read:,} bytes, inside {self.place}; copy the file again")

    def _header(self, read: Callable[[], int], kind: str) -> int:
        try:
            return read()
        except ValueError:
            self.refuse(f"{self.place} is no {kind}; this is not a node's state (.rmp) as documented")
            raise

    def _step(self, name: str, given: Any) -> Iterator[Any]:
        self.path.append(name)
        self._unread = True
        yield given
        if self._unread:
            self._unpacker.skip()
        self._unread = False
        self.path.pop()
