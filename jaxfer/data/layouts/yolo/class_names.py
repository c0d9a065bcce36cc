"""The names of classes in YOLO's `data.yaml`, read without building anything but text."""

from pathlib import Path

import yaml

from jaxfer.data.reading.folder import readable
from jaxfer.errors import UserError
from jaxfer.files import opened

LARGEST = 65_536
"""How many bytes the file may have; a hundred names are 2,000."""

DEEPEST = 20
"""How deep its values may be nested: the parser's time grows with the square of that."""


def class_names(path: Path) -> dict[int, str]:
    """Return the name of each class by its index.

    `names` is a list, or a mapping from index to name. Where the file has a number of classes, `nc`, it must agree.

    Raises:
        UserError: The file may not be read, is damaged, has tags, which stand for Python objects, or has no such names.
    """
    with readable(path), opened(path) as file:
        content = file.read(LARGEST + 1)
    root = _parsed(path, content)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    entries = {key.value: value for key, value in pairs if isinstance(key, yaml.ScalarNode)}
    names = _names(entries.get("names"))
    if not names:
        raise UserError(f"{path} has no names of classes: add `names:` with a list in the order of their indices")
    count = entries.get("nc")
    if isinstance(count, yaml.ScalarNode) and count.value != str(len(names)):
        raise UserError(f"{path} names {len(names)} classes, but its nc is {count.value[:20]}: correct the wrong one")
    return names


def _names(node: yaml.Node | None) -> dict[int, str]:
    """Return the names in a list or mapping, none where it holds anything else."""
    if isinstance(node, yaml.SequenceNode):
        pairs = [(str(index), value) for index, value in enumerate(node.value)]
    elif isinstance(node, yaml.MappingNode):
        pairs = [(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
    else:
        return {}
    names = {
        int(key): value.value
        for key, value in pairs
        if isinstance(value, yaml.ScalarNode) and key.isdecimal() and len(key) <= 4
    }
    return names if len(names) == len(node.value) else {}


def _parsed(path: Path, content: bytes) -> yaml.Node | None:
    """Return the file's nodes: nothing is constructed from them, and so nothing is merged, converted or called."""
    problem = f"{LARGEST} bytes are more than it can need" if len(content) > LARGEST else ""
    try:
        problem = problem or _refused(content)
        if not problem:
            return yaml.compose(content, Loader=yaml.SafeLoader)
    except Exception as error:  # PyYAML meets damage with YAMLError, ValueError, OverflowError and others.
        problem = " ".join(str(error).replace('in "<byte string>", ', "").split())
    raise UserError(f"{path} is not YOLO's list of classes ({problem}): write it again")


def _refused(content: bytes) -> str:
    depth = 0
    for event in yaml.parse(content, Loader=yaml.SafeLoader):
        if getattr(event, "tag", None):
            return f"it has the tag {event.tag}"
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            return "it is nested too deeply"
    return ""
