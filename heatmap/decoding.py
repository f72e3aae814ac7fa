"""What decoders raise for bytes that are not what they should be: one list for every door, so that none forgets one.

msgspec raises its own errors for wrong types and broken JSON, `UnicodeDecodeError` for text that is not UTF-8, and
`RecursionError` for a document that is nested too deep.
"""

from typing import Final

import msgspec

NOT_DECODED: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
