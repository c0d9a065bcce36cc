"""Tensors in the archives of `torch.save`, read without PyTorch and without ever unpickling.

An archive is a zip whose `data.pkl` describes dicts of tensors, and whose other entries are their bytes. Python's
unpickler calls whatever a pickle names. Here each instruction of it is interpreted by hand, there are no more of them
than such a description needs, and the names it may have stand for nothing that could be called.
"""

import io
import pickletools
import zipfile
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

STORAGES: dict[str, Any] = {
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(jnp.bfloat16),
    "LongStorage": np.dtype("<i8"),
}
"""The kinds of numbers that are read, by PyTorch's names for their storages."""

MOST_DESCRIBED = 2**24
"""Most bytes of a description: a network has some hundred tensors, of a hundred bytes each."""

LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""What files begin with that PyTorch wrote before its release 1.6, or writes without its zip."""

_CONVERT = "python -c \"import torch; torch.save(torch.load('OLD', map_location='cpu', weights_only=True), 'NEW.pth')\""


@dataclass(frozen=True)
class _Name:
    """A name in a description, which stands for nothing."""

    module: str
    name: str


@dataclass(frozen=True)
class _Storage:
    """The numbers of a tensor: their entry, their kind, and how many there are."""

    entry: str
    dtype: np.dtype
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


_DICT = _Name("collections", "OrderedDict")
_TENSOR = _Name("torch._utils", "_rebuild_tensor_v2")
_MARK = object()


def decode(content: bytes) -> dict[str, np.ndarray]:
    """Return the tensors of an archive, by their keys, those of dicts in dicts joined by dots.

    Args:
        content: The archive's bytes.

    Returns:
        The tensors, of the kinds of `STORAGES`, as views of their bytes.

    Raises:
        ValueError: It is no such archive, or not a whole one; it describes anything but dicts of tensors, numbers and
            texts; or tensors reach beyond their bytes. It says in words what it is.
    """
    if content.startswith(LEGACY) or content[257:262] == b"ustar":
        raise ValueError(f"it has PyTorch's old form; where PyTorch is, run {_CONVERT}")
    if content.startswith(b"version https://git-lfs"):
        raise ValueError("it is a pointer of Git LFS to the file that is wanted: fetch that by git lfs pull")
    if not content.startswith(b"PK"):
        raise ValueError("it is neither an archive of PyTorch nor a file of safetensors")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _decoded(archive, len(content))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, KeyError) as error:
        raise ValueError(f"its archive is damaged ({error})") from error


def _decoded(archive: zipfile.ZipFile, size: int) -> dict[str, np.ndarray]:
    described = [name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(described) != 1:
        raise ValueError("it is a zip, but none of PyTorch's with a data.pkl")
    folder = described[0].removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and _stored(archive, f"{folder}byteorder", 16) != b"little":
        raise ValueError("its numbers are in the byte order of another machine: save it again on a usual one")
    tensors = dict(_tensors(_described(_stored(archive, described[0], MOST_DESCRIBED))))
    storages: dict[_Storage, np.ndarray] = {}
    left = size  # entries may lie over each other, so that many large ones fit into a small file
    for name, tensor in tensors.items():
        storage = tensor.storage
        if storage not in storages:
            left -= storage.count * storage.dtype.itemsize
            if left < 0:
                raise ValueError("its tensors have more bytes than the file")
            numbers = _stored(archive, f"{folder}data/{storage.entry}", size)
            if len(numbers) != storage.count * storage.dtype.itemsize:
                raise ValueError(f"{name} has {len(numbers)} bytes, and its description says {storage.count} numbers")
            storages[storage] = np.frombuffer(numbers, storage.dtype)
    return {name: _view(name, tensor, storages[tensor.storage]) for name, tensor in tensors.items()}


def _stored(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return the bytes of an entry, which is not compressed, as PyTorch writes it."""
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > most:
        raise ValueError(f"{name} in it is compressed or too large")
    return archive.read(entry)


def _tensors(described: Any) -> Any:
    """Yield the tensors of a dict, and of dicts in it, with their keys."""
    if not isinstance(described, dict):
        raise ValueError(f"it holds no dict of tensors but {type(described).__name__.strip('_')}")
    waiting = [("", described, 0)]
    while waiting:
        prefix, values, depth = waiting.pop()
        if depth > 16:
            raise ValueError("its dicts are nested too deep")
        for key, value in values.items():
            if isinstance(value, _Tensor):
                yield f"{prefix}{key}", value
            elif isinstance(value, dict):
                waiting.append((f"{prefix}{key}.", value, depth + 1))


def _view(name: str, tensor: _Tensor, numbers: np.ndarray) -> np.ndarray:
    """Return a tensor as a view of its numbers, once it is known to lie within them."""
    count = int(np.prod(tensor.shape, dtype=object))
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    # More elements than numbers would be a small file that fills the memory.
    if count > numbers.size or (count and last >= numbers.size):
        raise ValueError(f"{name} reaches beyond its numbers")
    if not count:
        return np.zeros(tensor.shape, numbers.dtype)
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)


def _described(pickled: bytes) -> Any:
    """Return what a description says: dicts, lists, tuples, texts, numbers, and `_Tensor`."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            name = opcode.name
            if name == "STOP":
                return stack.pop()
            _take(name, argument, stack, memo)
    except (ValueError, IndexError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"its description is not understood ({error})") from error
    raise ValueError("its description does not end")


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _take(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    """Take one instruction of a description."""
    if name in ("PROTO", "FRAME"):
        return
    if name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name in _LITERALS:
        stack.append(argument)
    elif name in _EMPTY:
        stack.append(_EMPTY[name]())
    elif name == "MARK":
        stack.append(_MARK)
    elif name in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name in _TUPLES:
        stack[-_TUPLES[name] :] = [tuple(stack[-_TUPLES[name] :])]
    elif name == "TUPLE":
        stack.append(tuple(_popped(stack)))
    elif name == "APPEND":
        value = stack.pop()
        _of(stack[-1], list).append(value)
    elif name == "APPENDS":
        values = _popped(stack)
        _of(stack[-1], list).extend(values)
    elif name == "SETITEM":
        value, key = stack.pop(), stack.pop()
        _of(stack[-1], dict)[key] = value
    elif name == "SETITEMS":
        values = _popped(stack)
        _of(stack[-1], dict).update(zip(values[::2], values[1::2], strict=True))
    elif name == "GLOBAL":
        stack.append(_known(*argument.split(" ", 1)))
    elif name == "STACK_GLOBAL":
        attribute, module = stack.pop(), stack.pop()
        stack.append(_known(module, attribute))
    elif name == "BINPERSID":
        stack.append(_storage(stack.pop()))
    elif name == "REDUCE":
        arguments, what = stack.pop(), stack.pop()
        stack.append(_made(what, arguments))
    elif name == "BUILD":  # what else an ordered dict knows of itself, such as the versions of modules
        stack.pop()
        _of(stack[-1], dict)
    else:
        raise ValueError(f"it has the instruction {name}")


def _popped(stack: list[Any]) -> list[Any]:
    """Return what is on the stack after the last mark, and take both off."""
    start = len(stack) - 1 - stack[::-1].index(_MARK)
    values = stack[start + 1 :]
    del stack[start:]
    return values


def _of(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"it has {type(value).__name__.strip('_')} in place of {kind.__name__}")
    return value


def _known(module: str, name: str) -> _Name:
    found = _Name(module, name)
    if found in (_DICT, _TENSOR) or (module == "torch" and name in STORAGES):
        return found
    raise ValueError(f"it names {module}.{name}, and only dicts of tensors of {', '.join(STORAGES)} are read")


def _storage(described: Any) -> _Storage:
    match described:
        case ("storage", _Name("torch", kind), str(entry), str(), int(count)) if count >= 0 and entry.isdigit():
            return _Storage(entry, STORAGES[kind], count)
    raise ValueError("it refers to something else than the numbers of a tensor")


def _made(what: Any, arguments: Any) -> Any:
    if what == _DICT and arguments == ():
        return {}
    match arguments:
        case (_Storage() as storage, int(offset), tuple(shape), tuple(strides), *_) if what == _TENSOR:
            sizes = (offset, *shape, *strides)
            if len(shape) == len(strides) <= 8 and all(type(size) is int and 0 <= size < 2**40 for size in sizes):
                return _Tensor(storage, offset, shape, strides)
    raise ValueError("it makes something else than dicts and tensors")
