"""Maps against maps: divergence, calibration, validation, transfer, scores.

`liqtruth.compare` is this package and, as `lt.compare(truth, model)`, also a function: once any module of the package
is imported, Python binds the package to that name, so the package itself answers the call.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liqtruth.compare.comparison.comparison import Comparison


class _Callable(ModuleType):
    def __call__(self, *maps: Any, **options: Any) -> "Comparison":
        """`liqtruth.compare.comparison.comparison.compare`."""
        from liqtruth.compare.comparison.comparison import compare

        return compare(*maps, **options)


sys.modules[__name__].__class__ = _Callable
