"""The C++ source of an op, found along the tables that bind it.

The wrapper in backends/cpp names what the module `_cpp` exports; `.def("name", &function)` in csrc/bind_*.cpp names
that function; it calls kernels.family.member; csrc/kernels.h says which place of the family's struct that is, and the
family's table, `constexpr Linear LINEAR = {...}` at the end of an .inl file, which function stands there.
"""

import re
from functools import cache

from minigan.study.sources import CPP, PACKAGE, Listing, defined, python, referred

CSRC = next(folder for folder in (PACKAGE / "csrc", PACKAGE.parent / "csrc") if folder.is_dir())


def cpp(op: str) -> list[Listing]:
    """The kernel behind an op, and after it the functions of the same file that it calls. Where several tables have
    one, as those of a convolution, it is the first table's, and of the others the function itself; where there is no
    kernel, the wrapper.
    """
    listings: list[Listing] = []
    others: list[Listing] = []
    for exported in _exports(op):
        members = _members(exported)
        for member in [m for m in members if m[1] == exported] or members:
            first, *more = _entries(*member)
            listings += [one for function in first for one in _reached(function)]
            others += [function for table in more for function in table]
    made = list(dict.fromkeys([*listings, *others])) or [_bound(exported) for exported in _exports(op)]
    return made or python(defined(CPP, op), op)


def _exports(op: str) -> list[str]:
    """What the wrapper of an op takes from the module `_cpp`."""
    module = defined(CPP, op)
    own = {op, *(name for name in referred(module, op) if name.startswith("_"))}
    text = "\n".join(listing.text for listing in python(module, op) if listing.name in own)
    return list(dict.fromkeys(re.findall(r"kernels\.([a-z]\w*)", text)))


@cache
def _files(pattern: str) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(CSRC.glob(pattern))}


def _bound(exported: str) -> Listing:
    """The function in csrc/bind_*.cpp that the module exports under this name."""
    for file, text in _files("bind_*.cpp").items():
        if match := re.search(rf'\.def\("{exported}",\s*&(\w+)', text):
            return _function(file, text, match[1])
    raise KeyError(exported)


def _members(exported: str) -> list[tuple[str, str]]:
    """(family, member) of each kernel that the bound function, or what it calls in its file, takes from the table."""
    bound = _bound(exported)
    text = "\n".join(listing.text for listing in _reached(bound))
    calls = [("conv", member) for member in re.findall(r"\bconv\.(forward|dgrad|wgrad)\(", text)]
    calls += sorted(re.findall(r"kernels\.(\w+)\.(\w+)", text), key=lambda call: call[1] == "bias_grad")
    return list(dict.fromkeys(calls))


def _entries(family_: str, member: str) -> list[list[Listing]]:
    """What stands in each table of a family at the place of `member`: a function, or a list of them."""
    header = _files("kernels.h")["kernels.h"]
    struct = re.search(rf"^    (\w+) {family_}\b", header, re.M)
    assert struct is not None, family_
    body = _braced(header, header.index(f"struct {struct[1]} {{"))
    fields = re.findall(r"\(\*(\w+)|^    Ready\w+ (\w+);", body, re.M)
    place = [a or b for a, b in fields].index(member)
    found = []
    for file, text in _files("*.inl").items():
        for match in re.finditer(rf"^constexpr {struct[1]} \w+ = ", text, re.M):
            names = re.findall(r"\w+(?:<\w+>)?", _split(_braced(text, match.end()))[place])
            found.append([listing for name in names for listing in _of_template(file, text, name)])
    return found


def _of_template(file: str, text: str, name: str) -> list[Listing]:
    """A function, and of function<argument> the argument's definition before it."""
    outer, _, inner = name.rstrip(">").partition("<")
    return [_function(file, text, one) for one in (inner, outer) if one]


def _reached(start: Listing) -> list[Listing]:
    """A C++ function, then those that it calls, directly or not, and that its own file defines."""
    file = start.file.removeprefix("csrc/")
    text = _files("*.inl").get(file) or _files("bind_*.cpp")[file]
    names = _names(text)
    found, todo = [start], _called(start)
    while todo:
        word = todo.pop(0)
        if word in names and word not in {one.name for one in found}:
            found.append(_function(file, text, word))
            todo += _called(found[-1])
    return found


def _called(listing: Listing) -> list[str]:
    """Words that stand where a function or a table of functions is used: f(, f<, <f>, f[."""
    code = re.sub(r"//.*", "", listing.text)
    return [a or b for a, b in re.findall(r"(\w+)(?=[(<\[])|[<,] ?(\w+)(?=[>,])", code)]


_DEFINITION = r"^(?:[\w:<>,*&]+[ *&]+)+?({name})\([^;{{}}]*\)\s*\{{"
_TABLE = r"^constexpr [^;=]*?\(\*({name})\[\w*\]\)[^;={{]*= \{{"  # of function pointers


@cache
def _names(text: str) -> frozenset[str]:
    return frozenset(m[1] for form in (_DEFINITION, _TABLE) for m in re.finditer(form.format(name=r"\w+"), text, re.M))


def _function(file: str, text: str, name: str) -> Listing:
    """A definition with its comment and its template line."""
    match = next(found for form in (_DEFINITION, _TABLE) if (found := re.search(form.format(name=name), text, re.M)))
    start = match.start()
    while start:
        before = text.rfind("\n", 0, start - 1) + 1
        line = text[before:start].strip()
        if not line.startswith(("//", "template")):
            break
        start = before
    end = match.end() - 1 + len(_braced(text, match.end() - 1)) + 2
    stop = text.find("\n", end)
    return Listing(f"csrc/{file}", text.count("\n", 0, start) + 1, name, text[start:stop].rstrip())


def _braced(text: str, start: int) -> str:
    """What the next pair of braces holds."""
    begin, depth = text.index("{", start), 0
    for i in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return text[begin + 1 : i]
    raise ValueError("a brace is never closed")


def _split(table: str) -> list[str]:
    """The entries of a table, by the commas that stand in no inner bracket."""
    entries, depth = [""], 0
    for c in table:
        depth += {"{": 1, "(": 1, "<": 0, "}": -1, ")": -1}.get(c, 0)
        if c == "," and depth == 0:
            entries.append("")
        else:
            entries[-1] += c
    return entries
