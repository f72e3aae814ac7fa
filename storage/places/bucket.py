"""A lake in a bucket of an object store that speaks S3: any number of machines read it and write to it.

An object is there as a whole or not at all, and a name that is taken is refused by the store itself, so that a bucket
keeps what a folder promises. `obstore` writes and lists; polars reads Parquet by itself, only the parts that it needs.
Both are the same client (`object_store`), which takes keys, region and endpoint from `AWS_*` variables: no URL of ours
holds any.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from liqtruth.heatmap.errors import BadInput, LiqtruthError
from liqtruth.storage.places.places import Place, Stored, said

if TYPE_CHECKING:
    from obstore.store import S3Store

SCHEME: Final = "s3://"
ENDPOINTS: Final = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT")
REMEDY: Final = "check AWS_ENDPOINT_URL, AWS_REGION and the keys"
GROUP_ROWS: Final = 1 << 15
TRIES: Final = 3
PATIENCE_S: Final = 30
"""Of one request with all its tries."""


@dataclass(frozen=True)
class Bucket:
    """What lies below `prefix` in a bucket."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, url: str) -> "Bucket":
        """Raises `BadInput`, which shows nothing but the scheme, for what is no `s3://bucket/prefix`."""
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        plain = parts.scheme == "s3" and not (parts.query or parts.fragment or "@" in parts.netloc)
        folders = parts.path.strip("/").split("/")
        if not plain or not parts.netloc or ".." in folders or ("" in folders and folders != [""]):
            raise BadInput(
                f"a lake in an object store is s3://bucket/prefix, got {parts.scheme or 'no'}://…; keys, region and "
                "endpoint are read from AWS_* variables"
            )
        return cls(parts.netloc, "/".join(folders))

    @property
    def root(self) -> str:
        return self.full("").rstrip("/")

    @property
    def group_rows(self) -> int:
        return GROUP_ROWS

    @property
    def beside(self) -> "Bucket":
        return Bucket(self.bucket, self.prefix.rpartition("/")[0])

    def below(self, name: str) -> "Bucket":
        return Bucket(self.bucket, self._key(name))

    def full(self, name: str) -> str:
        return f"{SCHEME}{self.bucket}/{self._key(name)}"

    @property
    def options(self) -> Mapping[str, Any]:
        endpoint = _endpoint()
        known: dict[str, Any] = {"max_retries": TRIES}
        if endpoint:
            known |= {"aws_endpoint_url": endpoint, "aws_allow_http": str(_is_plain(endpoint)).lower()}
        return {"storage_options": known, "credential_provider": None}

    def read(self, name: str) -> bytes:
        import obstore

        with _explained(name):
            return bytes(obstore.get(self._store, self._key(name)).bytes())

    def put(self, name: str, content: bytes | memoryview) -> None:
        self._put(name, content, "overwrite")

    def put_new(self, name: str, content: bytes | memoryview) -> None:
        self._put(name, content, "create")

    def _put(self, name: str, content: bytes | memoryview, mode: Any) -> None:
        import obstore

        with _explained(name):
            obstore.put(self._store, self._key(name), content, mode=mode)

    def files(self) -> Iterator[Stored]:
        for key, found in self._listed(""):
            if key.endswith(".parquet"):
                yield Stored(self._name(key), found["size"], found["last_modified"].timestamp())

    def folders(self) -> Iterable[str]:
        import obstore

        with _explained(self.prefix):
            found = obstore.list_with_delimiter(self._store, self._key("") or None)
        return [self._name(key.rstrip("/")) for key in found["common_prefixes"]]

    def move(self, name: str, to: Place, new: str) -> None:
        import obstore

        assert isinstance(to, Bucket)
        with _explained(name):
            obstore.rename(self._store, self._key(name), to._key(new))

    def exists(self, name: str) -> bool:
        import obstore

        try:
            with _explained(name):
                obstore.head(self._store, self._key(name))
        except FileNotFoundError:
            return False
        return True

    def remove(self, name: str) -> None:
        self._remove([self._key(name)])

    def remove_folder(self, name: str) -> None:
        self._remove([key for key, _ in self._listed(name)])

    def _remove(self, keys: list[str]) -> None:
        import obstore

        if keys:
            with _explained(keys[0]):
                obstore.delete(self._store, keys)

    def _listed(self, name: str) -> Iterator[tuple[str, Any]]:
        import obstore

        with _explained(name):
            for some in obstore.list(self._store, self._key(name) or None):
                for found in some:
                    yield found["path"], found

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self.prefix, name) if part)

    def _name(self, key: str) -> str:
        return key.removeprefix(f"{self.prefix}/") if self.prefix else key

    @cached_property
    def _store(self) -> "S3Store":
        try:
            from obstore.store import S3Store
        except ImportError as error:
            raise LiqtruthError(
                "a lake in an object store needs the extra `s3`: pip install 'liqtruth[s3]'"
            ) from error
        return S3Store(
            self.bucket,
            client_options={"allow_http": _is_plain(_endpoint()), "timeout": f"{PATIENCE_S}s"},
            retry_config={"max_retries": TRIES, "retry_timeout": timedelta(seconds=PATIENCE_S)},
        )


def _endpoint() -> str:
    return next((value for name in ENDPOINTS if (value := os.environ.get(name))), "")


def _is_plain(endpoint: str) -> bool:
    return endpoint.lower().startswith("http://")


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Errors of the object store as those of the system, in one line that shows no address."""
    from obstore import exceptions as of

    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from None
    except of.AlreadyExistsError:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
    except (of.PermissionDeniedError, of.UnauthenticatedError):
        raise PermissionError(errno.EACCES, f"the object store refuses; {REMEDY}", name) from None
    except (of.BaseError, ValueError) as error:
        cause = said(error).rpartition(" - ")[2][:80]
        raise ConnectionError(
            errno.EIO, f"the object store does not answer ({cause}); {REMEDY}", name
        ) from None
