"""Cut a Verilated class's work at the clock edge into parts, so that many instances can do it part by part.

Verilator writes straight-line code, a few hundred kilobytes for a tile of the mesh: more than the first-level cache of
any processor holds. If all tiles do one part before any does the next one, each part is fetched once for all of them.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["PART_CHARACTERS", "cut_evaluation"]

PART_CHARACTERS = 3000
"""Statements that are not calls make a part of about so many characters of C++."""

_EDGE = "    if ((1ULL & vlSelfRef.__VnbaTriggered[0U])) {\n"
_BODY, _LOCALS = "    // Body\n", "    // Locals\n"
_STATEMENT = re.compile(r"^ {8}(?! )(?:.*\n)(?:^ {9,}.*\n|^ {8}\}.*\n)*", re.MULTILINE)
_CALL = re.compile(r" {8}\w+\(vlSelf\);\n")
_LOCAL = re.compile(r"(\w+);")


def _parts(statements: list[str], names: list[str]) -> list[list[str]]:
    """Statements in parts: calls alone; what shares a local variable together."""
    together: set[int] = set()  # statements that go with the one before
    for name in names:
        uses = [i for i, statement in enumerate(statements) if re.search(rf"\b{name}\b", statement)]
        if uses:
            together.update(range(uses[0] + 1, uses[-1] + 1))
    parts: list[list[str]] = []
    size = 0
    for i, statement in enumerate(statements):
        if i not in together and (not parts or size >= PART_CHARACTERS):
            parts.append([])
            size = 0
        parts[-1].append(statement)
        size += PART_CHARACTERS if _CALL.fullmatch(statement) else len(statement)
    return parts


def cut_evaluation(folder: Path, prefix: str) -> int:
    """Take the work at the clock edge out of the evaluation of a Verilated class, and offer it in parts.

    Afterwards the class's ``eval`` with a risen clock only makes the inputs arrive; then all of ``<prefix>_parts`` must
    be called, in their order, with the class's root. ``<prefix>_part_count`` is how many there are.

    Parameters
    ----------
    folder : Path
        What Verilator wrote: a design with one clock.
    prefix : str
        The class.

    Returns
    -------
    int
        How many parts.

    Raises
    ------
    ValueError
        If the code does not look like that of Verilator 5.48.
    """
    root = f"{prefix}___024root"
    name = re.compile(rf"^void {root}___eval_nba(?:__0)?\({root}\* vlSelf\) \{{\n", re.MULTILINE)
    for path in sorted(folder.glob(f"{root}__*.cpp")):
        text = path.read_text(encoding="utf-8")
        for found in name.finditer(text):
            end = text.index("\n}\n", found.start()) + 1
            head, _, work = text[found.end():end].partition(_BODY)
            if work.startswith(_EDGE) and work.endswith("\n    }\n"):
                return _cut(path, text, prefix, found, end, head, work.removeprefix(_EDGE).removesuffix("    }\n"))
    raise ValueError(f"no evaluation of {prefix} at one clock edge in {folder}")


def _cut(path: Path, text: str, prefix: str, found: re.Match[str], end: int, head: str, work: str) -> int:
    """Write the parts in place of the function from ``found`` to ``end``."""
    root = f"{prefix}___024root"
    statements = _STATEMENT.findall(work)
    if "".join(statements) != work:
        raise ValueError(f"statements of another form in {path}")
    declared = {_LOCAL.findall(line)[-1]: line for line in head.partition(_LOCALS)[2].splitlines(keepends=True)}
    parts = _parts(statements, list(declared))
    written = [
        f"static void part_{number}({root}* vlSelf) {{\n    auto& vlSelfRef = *vlSelf;\n    (void)vlSelfRef;\n"
        + "".join(line for name, line in declared.items() if any(re.search(rf"\b{name}\b", one) for one in part))
        + "".join(part) + "}\n"
        for number, part in enumerate(parts)]
    names = ", ".join(f"part_{number}" for number in range(len(parts)))
    written.append(
        f"extern void (*const {prefix}_parts[])({root}*);\nextern const size_t {prefix}_part_count;\n"
        f"void (*const {prefix}_parts[])({root}*) = {{{names}}};\nconst size_t {prefix}_part_count = {len(parts)};\n")
    signature = found[0].replace("* vlSelf", "*").rstrip()
    path.write_text(f"{text[:found.start()]}{''.join(written)}{signature}}}\n{text[end + 2:]}", encoding="utf-8")
    return len(parts)
