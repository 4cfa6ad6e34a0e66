"""What is kept of a handler's result that is too large to be kept."""

from typing import Any

#: Bytes of a result, or of what a leg leaves to the next, as JSON.
LARGEST = 64 * 1024


def cut(size: int) -> dict[str, Any]:
    """Return what stands for a result of so many bytes."""
    return {"truncated": True, "bytes": size}


def size_before(kept: Any) -> int | None:
    """Return how many bytes a result had that is cut; None of one that is whole."""
    if isinstance(kept, dict) and kept.keys() == {"truncated", "bytes"}:
        size = kept["bytes"]
        return size if isinstance(size, int) and size > LARGEST else None
    return None
