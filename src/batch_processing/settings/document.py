"""A YAML file as plain values, with the line of every key and all that is wrong with its text.

As `yaml.safe_load`, with these differences: keys are always texts (`on:` is not `true:`), a key given twice is
a problem, and size, depth and the expansion of aliases are bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from batch_processing.errors import Problem

MOST_BYTES = 256 << 10
"""Longest declaration."""
MOST_DEPTH = 30
"""Deepest nesting."""
MOST_NODES = 20_000
"""Most values, aliases expanded."""

Path_ = tuple[str | int, ...]
_MERGE = "tag:yaml.org,2002:merge"
_MAP, _LIST = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"


@dataclass(frozen=True)
class Document:
    """What a file says.

    Attributes:
        data: mappings, lists and scalars; None where nothing could be read.
        lines: key path -> 1-based line.
        texts: key path -> a scalar as written, where YAML reads it as something other than text.
        problems: what is wrong with the text itself.
    """

    data: Any
    lines: Mapping[Path_, int]
    texts: Mapping[Path_, str]
    problems: tuple[Problem, ...]

    def line_of(self, path: Path_) -> int | None:
        """The line of a key path, or of its nearest part that is in the file."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


def read_document(file: Path) -> Document:
    """Reads a YAML file; every problem with it is in the result, none is raised."""
    try:
        with file.open("rb") as handle:
            raw = handle.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return _unreadable(file, f"there is no such file; the folder holds {_beside(file)}")
    except IsADirectoryError:
        return _unreadable(file, "is a folder; name a file in it")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the path holds a character no path may hold"
        return _unreadable(file, f"cannot be read: {reason or type(error).__name__}")
    if len(raw) > MOST_BYTES:
        return _unreadable(file, f"is longer than {MOST_BYTES >> 10} KiB; a declaration is a few pages")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return _unreadable(file, "is not text in UTF-8; save it as UTF-8", line=line)
    return read_text(text, file=str(file))


def read_text(text: str, *, file: str) -> Document:
    """Reads YAML text; every problem with it is in the result, none is raised."""
    reader = _Reader(file)
    try:
        node = _Composer(text).get_single_node()
        if node is None:
            reader.add("is empty; a declaration begins with `pipeline: <name>`", line=1)
            data = None
        else:
            data = reader.value(node, (), depth=0)
    except _TooMuchError as error:
        reader.add(str(error), line=error.line)
        data = None
    except yaml.YAMLError as error:
        message, line = _explain(error, text)
        reader.add(message, line=line)
        data = None
    except (RecursionError, ValueError, OverflowError) as error:
        # PyYAML leaks these on escapes such as "\UFFFFFFFF".
        reader.add(f"cannot be read as YAML ({type(error).__name__})", line=1)
        data = None
    return Document(data=data, lines=reader.lines, texts=reader.texts, problems=tuple(reader.problems))


class _TooMuchError(Exception):
    """The text is deeper or larger than a declaration can be."""

    def __init__(self, message: str, *, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Composer(yaml.SafeLoader):
    """A safe loader that gives up on deep nesting before the interpreter does."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        try:
            if self._depth > MOST_DEPTH + 2:
                raise _too_deep(self.peek_event().start_mark.line + 1)  # type: ignore[no-untyped-call]  # PyYAML's stubs lack it
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def _too_deep(line: int) -> _TooMuchError:
    return _TooMuchError(f"is nested more than {MOST_DEPTH} levels deep", line=line)


class _Reader:
    """Turns a node tree into values, noting lines and problems on the way."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Path_, int] = {}
        self.texts: dict[Path_, str] = {}
        self.problems: list[Problem] = []
        self._count = 0
        self._scalars = yaml.SafeLoader("")

    def add(self, message: str, *, line: int | None, path: Path_ = ()) -> None:
        self.problems.append(Problem(message, key=dotted(path), file=self.file, line=line))

    def value(self, node: yaml.Node, path: Path_, *, depth: int) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._count += 1
        if depth > MOST_DEPTH:
            raise _too_deep(line)
        if self._count > MOST_NODES:
            raise _TooMuchError(f"holds more than {MOST_NODES} values (aliases expanded)", line=line)
        if isinstance(node, yaml.MappingNode) and node.tag == _MAP:
            return self._mapping(node, path, depth=depth)
        if isinstance(node, yaml.SequenceNode) and node.tag == _LIST:
            return [self.value(child, (*path, place), depth=depth + 1) for place, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self.add(f"the tag {_tag(node)} is not allowed", line=line, path=path)
        return None

    def _scalar(self, node: yaml.ScalarNode, path: Path_) -> Any:
        try:
            value: Any = self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError, LookupError, TypeError):
            # An impossible date, a number without end, a foreign tag.
            what = (
                "is not a value YAML can read" if node.tag.startswith("tag:yaml.org") else f"has the tag {_tag(node)}"
            )
            self.add(f"{what}; put it in quotes to make it text", line=node.start_mark.line + 1, path=path)
            return None
        if not isinstance(value, str):
            self.texts[path] = node.value
        return value

    def _mapping(self, node: yaml.MappingNode, path: Path_, *, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        merged: list[tuple[yaml.Node, int]] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.add("a key must be a text; put a value that begins with { or [ in quotes", line=line, path=path)
                continue
            if key_node.tag == _MERGE:
                merged.append((value_node, line))
                continue
            key = str(key_node.value)
            if key in first_lines:
                self.add(f"the key is given twice, first in line {first_lines[key]}", line=line, path=(*path, key))
                continue
            first_lines[key] = self.lines[(*path, key)] = line
            own[key] = self.value(value_node, (*path, key), depth=depth + 1)
        for value_node, line in merged:
            for key, value in self._merged(value_node, path, line=line, depth=depth).items():
                own.setdefault(key, value)
        return own

    def _merged(self, node: yaml.Node, path: Path_, *, line: int, depth: int) -> dict[str, Any]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for child in nodes:
            if not isinstance(child, yaml.MappingNode):
                self.add("`<<` takes a mapping or a list of mappings", line=line, path=path)
                continue
            given = self.value(child, path, depth=depth + 1)
            result = given | result if isinstance(given, dict) else result
        return result


def dotted(path: Path_) -> str:
    """A key path as people write it."""
    return ".".join(str(part) for part in path)


def _tag(node: yaml.Node) -> str:
    return str(node.tag).replace("tag:yaml.org,2002:", "!!")[:80]


def _unreadable(file: Path, message: str, *, line: int | None = None) -> Document:
    return Document(None, {}, {}, (Problem(message, file=str(file), line=line),))


def _beside(file: Path) -> str:
    folder = file.parent
    if not folder.is_dir():
        return f"nothing: {folder} does not exist either"
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.suffix in (".yml", ".yaml"))
    except OSError as error:
        return f"what cannot be listed: {error.strerror}"
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "") if names else "no .yml file"


def _explain(error: yaml.YAMLError, text: str) -> tuple[str, int]:
    """A YAML error in a person's words, and its line."""
    if isinstance(error, yaml.reader.ReaderError):
        position = error.position if isinstance(error.position, int) else 0
        return "is not a text file: it holds control characters", text.count("\n", 0, position) + 1
    if not isinstance(error, yaml.MarkedYAMLError):
        return "is not YAML", 1
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    lines = text.splitlines()
    source = lines[line - 1] if line <= len(lines) else ""
    return f"is not YAML: {error.problem or error.context}{_hint(error, source, lines[: line - 1])}", line


def _hint(error: yaml.MarkedYAMLError, source: str, before: list[str]) -> str:
    problem = error.problem or ""
    if "but found another document" in problem:
        return "; a file declares one pipeline: remove the line `---`"
    if "'\\t'" in problem or "\t" in source[: len(source) - len(source.lstrip())]:
        return "; indent with spaces, not tabs"
    value = source.partition(":")[2].strip()
    previous = before[-1].partition(":")[2].strip() if before else ""
    if value.startswith(("{{", "{%", "@", "*", "%", "`")) or previous.startswith(("{{", "{%")):
        return "; put a value that begins with {{, @, * or % in quotes"
    if "could not find expected ':'" in problem or "mapping values are not allowed" in problem:
        return "; check the indentation, and the space after each colon"
    if "<block end>" in problem:
        return "; check the indentation of this line"
    return ""
