"""The real LibreOffice, which opens what we write as a person's machine does."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOFFICE = shutil.which("soffice")
needs_libreoffice = pytest.mark.skipif(
    SOFFICE is None, reason="LibreOffice is not installed (libreoffice-calc)"
)


def convert(file: Path, to: str, *, reading: str | None = None) -> Path:
    """Open a file and save it in another format, beside it, with a separate profile.

    Args:
        file: What to open.
        to: The other kind's suffix, such as "xlsx" or "pdf".
        reading: LibreOffice's name and options of the import filter, where it is not to guess.
    """
    assert SOFFICE is not None
    folder = file.parent / "converted"
    filters = [f"--infilter={reading}"] if reading else []
    profile = f"-env:UserInstallation={(file.parent / 'profile').as_uri()}"
    command = [SOFFICE, profile, "--headless", *filters, "--convert-to", to]
    subprocess.run(  # noqa: S603 - our own words
        [*command, "--outdir", str(folder), str(file)], check=True, capture_output=True, timeout=110
    )
    return folder / f"{file.stem}.{to}"
