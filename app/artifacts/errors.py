"""What can go wrong with a file; the message names the fix.

All are an `ArtifactError`. `InvalidArtifact` is the caller's fault and a `ValueError`, too.
"""


class ArtifactError(Exception):
    """The base of all others."""


class InvalidArtifact(ArtifactError, ValueError):
    """A name, a media type or a lifetime that no file may have."""


class ArtifactLost(ArtifactError):
    """A suspended file cannot be continued, as it is gone or shorter than it was: begin it anew."""


class ArtifactBusy(ArtifactError):
    """Another process still writes this file; it was taken over and will soon notice."""


class StoreUnavailable(ArtifactError):
    """The store refused, or could not be reached; nothing of the file is left behind."""


class MissingExtra(ArtifactError):
    """A library that the configured store needs is not installed."""
