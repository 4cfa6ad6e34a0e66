"""What can go wrong with a file; the message names the fix.

All are an `ArtifactError`. `InvalidArtifact` is the caller's fault and a `ValueError`, too.
"""


class ArtifactError(Exception):
    """The base of all others."""


class InvalidArtifact(ArtifactError, ValueError):
    """An invalid name, media type or lifetime of a file."""


class ArtifactLost(ArtifactError):
    """A suspended file cannot be continued: it is gone, or shorter than it was. Start over."""


class ArtifactBusy(ArtifactError):
    """Another process is still writing this file; it has lost its job and will soon notice."""


class StoreUnavailable(ArtifactError):
    """The store failed or is unreachable; nothing of the file is left behind."""


class MissingExtra(ArtifactError):
    """A library that the configured store needs is not installed."""
