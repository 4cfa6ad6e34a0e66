"""Where files are kept, behind one small interface."""

from pathlib import Path

from flask import Flask, current_app

from app.artifacts.stores.base import Store, Stray, Upload
from app.artifacts.stores.local import LocalStore

__all__ = ["Store", "Stray", "Upload", "current_store", "init_app", "local_folder"]

_STATE = "artifacts"


def init_app(app: Flask) -> None:
    """Create the store on first use, so that its library is loaded only if needed."""
    app.extensions[_STATE] = {}


def current_store() -> Store:
    """Return the store of ARTIFACTS_STORE.

    Raises:
        MissingExtra: A library is missing; the message says which.
    """
    stores: dict[str, Store] = current_app.extensions[_STATE]
    if "store" not in stores:
        stores["store"] = _store(current_app.config["ARTIFACTS_STORE"])
    return stores["store"]


def local_folder() -> Path:
    """Return ARTIFACTS_DIR, where working folders are, whatever the store."""
    return Path(current_app.instance_path, current_app.config["ARTIFACTS_DIR"])


def _store(url: str) -> Store:
    if url == "local":
        return LocalStore(local_folder())
    from app.artifacts.stores.s3 import S3Store  # noqa: PLC0415 - needs an extra, and 30 MB

    return S3Store.from_url(url, current_app.config)
