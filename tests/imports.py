"""Which modules of this project a module imports, directly and indirectly, read from the source."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("classifier", "stages", "tools", "benchmarks")


def direct_imports(path: Path) -> set[str]:
    """Return the files of this project that a file imports, as paths from the root."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {f"{name.replace('.', '/')}.py" for name in names if name.split(".")[0] in PACKAGES}
    return {file for file in files if (ROOT / file).is_file()}


def imports(path: Path) -> set[str]:
    """Return the files of this project that a file imports, directly or through another, as paths from the root."""
    found: set[str] = set()
    waiting = direct_imports(path)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting |= direct_imports(ROOT / file)
    return found
