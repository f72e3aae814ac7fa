"""Errors of storage.

LiqtruthError
├── BadInput
│   ├── OtherDatabase     a lake and a database that do not belong together
│   └── TableRefused      a file that is not the table it should be: names file, column, row and value
├── MissingData
│   ├── NothingStored     no reading or series answers; names the command that would bring it
│   └── FileDamaged       a file of the lake that is gone or cut off under its manifest row
│       └── FileUnreadable   one that the system does not let us read; its bytes may be whole
├── SourceUnreachable
│   └── DatabaseLost      the database server went away and did not come back in time
└── NotWritten            a file that could not be written; the one that was there before is whole
"""

from liqtruth.heatmap.errors import BadInput, LiqtruthError, MissingData, SourceUnreachable


class TableRefused(BadInput):
    """A file whose content cannot be read as the table it should be."""


class OtherDatabase(BadInput):
    """The database is not the one that lists the files of the lake."""


class NothingStored(MissingData):
    """No reading or series in the data directory answers the question."""


class FileDamaged(MissingData):
    """A file that the manifest lists is gone, cut off or no table any more; names it and the remedy."""


class FileUnreadable(FileDamaged):
    """The system refuses to read the file: a permission or a disk, which importing again would not heal."""


class DatabaseLost(SourceUnreachable):
    """The database server does not answer, or ended the connection; nothing of the transaction is known as stored."""


class NotWritten(LiqtruthError):
    """A file could not be written whole, so nothing of it was; names the path and the cause."""
