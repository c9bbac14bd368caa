"""Files that a user names for us to write: what is there already is replaced only where it is of the same kind, so that a slip of the
hand costs no capture and no policy, and only by a file that is whole."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from testbed.errors import UsageError

BEGINNINGS = {"HTML": (b"<!doctype html", b"<html"), "SVG": (b"<svg", b"<?xml")}
_HEAD_BYTES = 256
_NO_FOLDER = "name a file in a folder that is there"


def check_target(file: Path, kind: str) -> None:
    """``kind``: of BEGINNINGS. UsageError where this would destroy something else, can only hang, or has no place to be written to."""
    try:
        if file.is_fifo() or file.is_socket():
            raise UsageError(f"{file} is a pipe", hint="name a file")
        check_place(file)
        if not file.is_file() or not file.stat().st_size:
            return
        with file.open("rb") as there:
            beginning = there.read(_HEAD_BYTES).lstrip().lower()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}", hint="name another file") from None
    if not _is_of(kind, beginning):
        raise UsageError(
            f"{file} is there already, and is no {kind} file", hint="name another file; nothing was written"
        )


def check_place(file: Path) -> None:
    """UsageError where no file of this name can be: it is a folder, or its folder is not there."""
    if file.is_dir():
        raise UsageError(f"{file} is a folder", hint="name a file")
    if not file.parent.is_dir():
        raise UsageError(f"{file}: there is no folder {file.parent}", hint=_NO_FOLDER)


def _is_of(kind: str, beginning: bytes) -> bool:
    """Any XML begins as a picture does."""
    return beginning.startswith(BEGINNINGS[kind]) and (kind != "SVG" or b"<svg" in beginning)


def replace(file: Path, text: str) -> None:
    """The file has all of this text, or is as it was before. What is no file (``/dev/stdout``) gets it as it is. UsageError."""
    try:
        if _is_plain(file):
            _replace(Path(os.path.realpath(file)), text)
        else:
            with file.open("a", encoding="utf-8") as stream:
                stream.write(text)
    except OSError as error:
        raise _not_written(file, error) from None


def create(file: Path, text: str) -> None:
    """A new file: one that came to be in the meantime is left alone. UsageError."""
    try:
        with file.open("x", encoding="utf-8") as stream:
            try:
                stream.write(text)
                stream.flush()
            except OSError:
                file.unlink()
                raise
    except FileExistsError:
        raise already_there(file) from None
    except OSError as error:
        raise _not_written(file, error) from None


def already_there(file: Path) -> UsageError:
    """Of a file that is not to be replaced, whatever it is."""
    return UsageError(f"{file} is there already", hint="name a file that is not, or remove it")


def _not_written(file: Path, error: OSError) -> UsageError:
    return UsageError(f"{file}: {error.strerror or error}", hint=_NO_FOLDER + ", on a disk with room for it")


def _is_plain(file: Path) -> bool:
    """What lies under /dev and /proc may be a way to a file that is open already, and must stay that file."""
    return not str(file.absolute()).startswith(("/dev/", "/proc/")) and (file.is_file() or not file.exists())


def _replace(file: Path, text: str) -> None:
    if file.exists() and not os.access(file, os.W_OK):
        raise PermissionError(13, os.strerror(13))
    whole = file.with_name(f".testbed-{secrets.token_hex(8)}")
    try:
        with whole.open("x", encoding="utf-8") as stream:
            stream.write(text)
        if file.exists():
            _take_rights(whole, file)
        whole.replace(file)
    except BaseException:
        whole.unlink(missing_ok=True)
        raise


def _take_rights(file: Path, like: Path) -> None:
    there = like.stat()
    with suppress(OSError):
        os.chown(file, there.st_uid, there.st_gid)
    shutil.copymode(like, file)
