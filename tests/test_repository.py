"""What must hold between the files of the repository."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from classifier.params import read_yaml
from tests.conftest import ROOT
from tests.imports import direct_imports, imports


def committed(path: str) -> str:
    """Read a file as it was committed: one's own runs change metrics and tables, and break no promise of the README."""
    return subprocess.run(["git", "show", f"HEAD:{path}"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


STAGES: dict[str, Any] = read_yaml(ROOT / "dvc.yaml")["stages"]
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()


def test_the_stages_are_the_five_of_the_design() -> None:
    assert list(STAGES) == ["download", "preprocess", "train", "evaluate", "plot"]


# They decide no bytes: the values of params are listed, and the rest is how things run and where data come from.
EXEMPT = {"classifier/params.py", "classifier/variants.py", "classifier/data/registry.py", "classifier/data/sources.py"}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_lists_the_code_that_decides_its_bytes_and_no_other(name: str) -> None:
    script = f"stages/{name}.py"
    imported = {file for file in {script, *imports(ROOT / script)} if not file.startswith("classifier/runtime/")} - EXEMPT
    listed = {path for path in STAGES[name]["deps"] if not path.startswith(("data/", "models/", "plots/"))}
    for file in imported:
        covering = [path for path in listed if file == path or file.startswith(f"{path}/")]
        assert len(covering) == 1, f"{file} is covered by {covering}"
    for path in listed:
        assert [file for file in imported if file == path or file.startswith(f"{path}/")], f"{path} is not imported"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_says_in_its_help_which_params_it_uses(name: str) -> None:
    (described,) = re.findall(r"^params +(.+)$", (ROOT / f"stages/{name}.py").read_text(), re.MULTILINE)
    assert sorted(described.split(", ")) == sorted(STAGES[name]["params"])


# What each part may import, beside itself; anything else may use params, variants and runtime too.
ARROWS: dict[str, set[str]] = {
    "classifier/runtime": set(),
    "classifier/params.py": {"classifier/runtime/errors.py"},
    "classifier/variants.py": {"classifier/params.py", "classifier/runtime"},
    "classifier/data": set(),
    "classifier/results": set(),
    "classifier/networks": {"classifier/data"},
    "classifier/training": {"classifier/networks", "classifier/data", "classifier/results"},
    "classifier/figures": {"classifier/results"},
    "benchmarks": {"classifier"},
    "tools": {"classifier"},
    "stages": {"classifier"},
}
SHARED = {"classifier/params.py", "classifier/variants.py", "classifier/runtime"}
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for part in ("classifier", "stages", "tools", "benchmarks")
    for path in (ROOT / part).rglob("*.py")
    if path.name != "__init__.py"
)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    (part,) = [part for part in ARROWS if module == part or module.startswith(f"{part}/")]
    allowed = ARROWS[part] if part in SHARED else ARROWS[part] | SHARED
    if part != "stages":  # which meet in files only
        allowed = allowed | {part}
    for imported in direct_imports(ROOT / module):
        if not imported.endswith("/__init__.py"):
            assert [path for path in allowed if imported == path or imported.startswith(f"{path}/")], imported


@pytest.mark.parametrize("part", ["data/", "results/", "params.py", "runtime/"])
def test_what_needs_no_torch_does_not_import_it(part: str) -> None:
    modules = [module for module in MODULES if module.startswith(f"classifier/{part}")]
    names = [module.removesuffix(".py").replace("/", ".") for module in modules]
    assert names
    program = f"import importlib, sys; [importlib.import_module(n) for n in {names}]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_dvc_is_imported_in_few_places() -> None:
    allowed = ("classifier/runtime/stage.py", "classifier/runtime/paths.py", "tools/")
    users = [module for module in MODULES if re.search(r"^\s*(?:from|import) dvc\b", (ROOT / module).read_text(), re.MULTILINE)]
    assert users
    assert all(module.startswith(allowed) for module in users), users


def test_every_value_of_params_has_its_meaning_beside_it() -> None:
    for line in (ROOT / "params.yaml").read_text().splitlines():
        if re.match(r"\s*(- )?\w+: \S", line) and not re.match(r"\s*\w+: #", line):
            assert "#" in line, line


def test_the_lock_file_pins_every_version_with_its_hash() -> None:
    text = (ROOT / "requirements.lock").read_text()
    requirements = re.findall(r"^([a-z0-9][\w.-]*)(.*?)$", text, re.MULTILINE)
    assert len(requirements) > 50
    assert all(rest.startswith("==") for _, rest in requirements)
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_offline_page_loads_nothing_from_elsewhere() -> None:
    page = (ROOT / ".dvc/plots/offline.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=", page)
    assert "{plot_divs}" in page
    assert "{scripts}" not in page
    assert "BSD 3-Clause License" in page


def test_the_results_in_the_readme_are_those_of_the_committed_metrics() -> None:
    test, train = (json.loads(committed(f"metrics/{name}.json")) for name in ("test", "train"))
    readme = committed("README.md")
    for line in (
        f"| test accuracy | {test['accuracy']:.1%} (95 % interval {test['accuracy_low']:.1%} to {test['accuracy_high']:.1%}) |",
        f"| validation accuracy, best epoch | {train['validation_accuracy']:.1%}, epoch {train['best_epoch']} |",
        f"| parameters | {train['parameters']:,} |",
        f"| training | {train['seconds']:.0f} s, {train['images_per_second']:,} images a second |",
    ):
        assert line in readme, line


@pytest.mark.parametrize("name", ["study", "variants", "speed"])
def test_the_tables_in_the_readme_are_those_that_compare_wrote(name: str) -> None:
    assert committed(f"docs/{name}/comparison.md") in committed("README.md")


def test_the_benchmark_in_the_readme_is_that_which_bench_wrote() -> None:
    _, table, *_ = committed("docs/benchmarks/full.md").split("\n\n")
    assert table in committed("README.md")


def test_every_share_that_the_study_quotes_stands_in_a_table() -> None:
    text = committed("README.md").partition("## The study")[2].partition("## Change")[0]
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
    tables = "".join(committed(f"docs/{name}/comparison.md") for name in ("study", "variants"))
    quoted = re.findall(r"\d+\.\d(?:%| points)", prose)
    assert quoted
    for share in quoted:
        assert share.replace(" points", " |") in tables, share


def test_nothing_is_given_to_a_shell_and_nothing_is_unpickled() -> None:
    for path in [path for folder in ("classifier", "stages", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py")]:
        text = path.read_text()
        assert not re.findall(r"shell=True|os\.system|os\.popen|(?<![.\w])(?:eval|exec)\(|allow_pickle=True", text), path
        assert not re.findall(r"\.extract(?:all)?\((?!.*filter=\"data\")", text), path
        assert "pickle." not in text, path
        assert text.count("torch.load(") == text.count("weights_only=True"), path


@pytest.mark.skipif(not TRACKED, reason="not a Git checkout")
def test_no_data_and_no_model_is_in_git() -> None:
    tracked = [path for path in TRACKED if path != "data/README.md"]
    assert not [path for path in tracked if path.startswith(("data/", "models/")) or path.endswith((".pt", ".npz", ".tar.gz"))]
