"""Errors of the sandbox.

LiqtruthError
└── BadInput
    └── SandboxRefused        a market that cannot be simulated as asked
"""

from liqtruth.heatmap.errors import BadInput


class SandboxRefused(BadInput):
    """A market specification with a value that the simulation cannot use."""
