"""Models on Hugging Face's hub: the folder of one, fetched from there or put there. Nothing else of jaxfer asks it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxfer.errors import UserError

PREFIX = "hub:"
"""What a place on the hub begins with, as in `hub:user/name`."""


def fetch(place: str, revision: str | None, files: Sequence[str]) -> Path:
    """Return a folder of this machine with files of a model on the hub, fetched unless they are there.

    Args:
        place: Such as `hub:user/name`.
        revision: A branch, a tag or a commit; None for the newest.
        files: The names of the files that are wanted, of which some may not exist.

    Raises:
        UserError: huggingface_hub is not installed, the place is none, or the hub has no such model or cannot be
            reached.
    """
    name, hub = _name(place), _hub()
    try:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=list(files)))
    except Exception as error:  # of its client for HTTP, which other releases change
        which = f" at {revision}" if revision else ""
        raise UserError(
            f"{name}{which} cannot be fetched from the hub ({_first_line(error)}): check the name and the network, or "
            "pass the folder of a model"
        ) from error


def put(folder: Path, place: str, files: Sequence[str]) -> str:
    """Put files of a folder into a model on the hub, which is made unless it is there, and return its address.

    Args:
        folder: The folder.
        place: Such as `hub:user/name`.
        files: The names of the files that are put there.

    Raises:
        UserError: huggingface_hub is not installed, the place is none, or the hub refuses or cannot be reached.
    """
    name, hub = _name(place), _hub()
    try:
        hub.create_repo(name, exist_ok=True)
        return str(hub.upload_folder(repo_id=name, folder_path=folder, allow_patterns=list(files)))
    except Exception as error:  # as above
        raise UserError(
            f"{folder} cannot be put to {name} on the hub ({_first_line(error)}): check the name, the network, and "
            "that you are logged in (hf auth login)"
        ) from error


def _name(place: str) -> str:
    name = place.removeprefix(PREFIX)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name, re.ASCII):
        raise UserError(f"{place!r} is no model on the hub: pass hub:USER/NAME")
    return name


def _hub() -> Any:
    try:
        import huggingface_hub  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(
            "the hub is reached by huggingface_hub, which is not installed: pip install 'jaxfer[hub]', or pass the "
            "folder of a model"
        ) from error
    return huggingface_hub


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
