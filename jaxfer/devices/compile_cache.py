"""Compiled programs kept on the disk, so that the next start loads them instead of compiling anew."""

import hashlib
import os
import platform
import re
import sys
import warnings
import zlib
from pathlib import Path

import jax

from jaxfer.errors import UserError
from jaxfer.files import own, refuse_links, write

MOST_BYTES = 512 << 20
"""Programs beyond this are removed, the least recently used first. A run of the published network takes 1 MB."""


def keep_compiled_programs() -> Path | None:
    """Keep compiled programs in the user's cache folder; entry points call this.

    The folder is `jaxfer/programs` in `$XDG_CACHE_HOME`, `~/.cache` or, on macOS, `~/Library/Caches`. Each kind of
    processor has its own in there: XLA loads code even for instructions that a processor lacks, which then ends the
    process. A loaded program gives the same bits as a compiled one.

    Returns:
        The folder. None, with nothing changed, where JAX has a folder already (`JAX_COMPILATION_CACHE_DIR`) or is told
        to use none (`JAX_ENABLE_COMPILATION_CACHE=false`), or where the folder cannot be written, or it or a folder of
        jaxfer's around it is a link.
    """
    if jax.config.jax_compilation_cache_dir or not jax.config.jax_enable_compilation_cache:  # pyright: ignore
        return None
    try:
        programs = programs_folder()
        folder = programs / _processor()
        refuse_links(programs.parent, folder)
        own(programs, re.compile(".+-[0-9a-f]{12}"))
        # Whoever can write here can have this user run any code.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _tidy(programs, folder / "last-start")
    except (OSError, RuntimeError, UserError):  # a read-only disk, a full one, a user without a home
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        # A start compiles some twenty programs, most of them in less than JAX's limit of a second each.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # A program that cannot be read or written, as on a disk that is full by now, is compiled as if nothing was kept.
    warnings.filterwarnings("ignore", r"Error (reading|writing) persistent compilation cache entry", UserWarning)
    return folder


def programs_folder() -> Path:
    """Return the folder of the compiled programs of all kinds of processors, whether it is there or not.

    Raises:
        RuntimeError: The user has no home folder.
    """
    return _cache_home() / "jaxfer" / "programs"


def processor_name() -> str:
    """Return what the processor calls itself and the widest vectors that it computes with, as far as Linux says it."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    widest = next((kind for kind in ("avx512f", "avx2", "avx", "asimd") if flags and kind in flags[1].split()), "")
    return " ".join(filter(None, (model[1] if model else platform.machine(), widest and f"({widest})")))


def _cache_home() -> Path:
    """Return the user's folder for what can be made again."""
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if chosen.is_absolute():  # the specification says to ignore any other
        return chosen
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def _processor() -> str:
    """Return a name for the kind of processor, equal only where all instructions are."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    kinds = {line for line in lines if line.startswith(("flags", "Features", "cpu family", "model\t", "CPU part"))}
    described = "\n".join([platform.system(), platform.processor(), *sorted(kinds)])
    return f"{platform.machine()}-{hashlib.sha256(described.encode()).hexdigest()[:12]}"


def _tidy(programs: Path, last_start: Path) -> None:
    """Remove programs that a killed process or a full disk left unfinished, and the least used of too many.

    JAX's own limit would need one more library, and JAX never replaces what it cannot read.

    Args:
        programs: The folder of all kinds of processors.
        last_start: A file; programs older than it are whole.
    """
    begun = last_start.stat().st_mtime if last_start.exists() else 0.0
    write("", last_start)
    found = [path for path in programs.glob("*/*-cache") if not (path.is_symlink() or path.parent.is_symlink())]
    files = {path: path.stat() for path in found}
    total = 0
    for path in sorted(files, key=lambda path: files[path].st_atime, reverse=True):
        total += files[path].st_size
        if total > MOST_BYTES or (files[path].st_mtime >= begun and not _whole(path.read_bytes())):
            path.unlink(missing_ok=True)


def _whole(program: bytes) -> bool:
    """Return whether a compressed program can be read; what zstandard compressed passes unless it is empty."""
    if not program.startswith(b"\x78"):
        return bool(program)
    try:
        zlib.decompress(program)
    except zlib.error:
        return False
    return True
