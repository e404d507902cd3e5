"""Consistency between the files of the repository: dependencies, imports, documentation and published results."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from classifier.data.registry import DATA_SETS
from classifier.data.split import DatasetInfo
from classifier.networks.build import build_network
from classifier.params import Params, flatten, parse_params, read_yaml
from classifier.variants import merge
from tests.conftest import ROOT
from tests.imports import direct_imports, imports

PIPELINE: dict[str, Any] = read_yaml(ROOT / "dvc.yaml")
STAGES: dict[str, Any] = PIPELINE["stages"]
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()


def test_the_stages_are_the_six_of_the_design() -> None:
    assert list(STAGES) == ["download", "preprocess", "weights", "train", "evaluate", "plot"]


# These decide no bytes: dvc.yaml lists the values of params, and the rest is how things run and where data comes from.
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
    (described,) = re.findall(r"^params +(.+(?:\n {9}.+)*)$", (ROOT / f"stages/{name}.py").read_text(), re.MULTILINE)
    assert sorted(re.split(r",\s+", described)) == sorted(STAGES[name]["params"])


# What each part may import besides itself; all but params, variants and runtime may import those three as well.
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
    if part != "stages":  # stages meet in files only
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
    above = ""
    for line in (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines():
        if re.match(r"\s+\w+: \S", line):
            # Above a list: DVC writes broken YAML when a list with a comment behind it is emptied.
            assert above.startswith("  # ") if "[" in line.partition("#")[0] else "#" in line, line
        above = line


LOCKS = ("requirements.lock", "requirements-export.lock")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_pins_every_version_with_its_hash(lock: str) -> None:
    text = (ROOT / lock).read_text()
    requirements = re.findall(r"^([a-z0-9][\w.-]*)(.*?)$", text, re.MULTILINE)
    assert len(requirements) > 50
    assert all(rest.startswith("==") for _, rest in requirements)
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_lock_files_agree_and_only_one_has_the_packages_of_export() -> None:
    main, export = (set(re.findall(r"^[a-z0-9][\w.-]*==\S+", (ROOT / lock).read_text(), re.MULTILINE)) for lock in LOCKS)
    assert main < export
    names = {requirement.partition("==")[0] for requirement in export - main}
    assert {"onnx", "onnxruntime", "onnxscript"} <= names
    assert not names & {requirement.partition("==")[0] for requirement in main}


@pytest.mark.parametrize("name", [".gitignore", ".dvcignore"])
def test_pages_of_plots_are_ignored_in_every_folder(tmp_path: Path, name: str) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    shutil.copy(ROOT / name, tmp_path / ".gitignore")
    pages = ["dvc_plots/index.html", "docs/dvc_plots/index.html", "classifier/networks/dvc_plots/static/a.png"]
    command = ["git", "check-ignore", *pages, "docs/index.html"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == pages


def test_the_offline_page_loads_nothing_from_elsewhere() -> None:
    page = (ROOT / ".dvc/plots/offline.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=", page)
    assert "{plot_divs}" in page
    assert "{scripts}" not in page
    assert "BSD 3-Clause License" in page


def filled(template: str, x: str, y: list[str], rows: list[dict[str, str]], **labels: str) -> dict[str, Any]:
    """Return a chart as DVC makes it of a template and the rows of a CSV."""
    from dvc_render.vega import VegaRenderer

    properties: dict[str, Any] = {"template": template, "template_dir": str(ROOT / ".dvc/plots"), "x": x, "y": y[0]} | labels
    if len(y) > 1:
        properties["anchors_y_definitions"] = [{"filename": "a.csv", "field": name} for name in y]
    chart: dict[str, Any] = VegaRenderer(rows, "chart", **properties).get_filled_template()
    assert "<DVC_METRIC" not in json.dumps(chart)
    return chart


def test_each_revision_of_a_confusion_matrix_has_its_own_classes() -> None:
    chart = filled("confusion_matrix", "predicted", ["actual"], [{"actual": "a", "predicted": "b", "count": "1", "rev": "one"}])
    assert chart["resolve"] == {"scale": {"x": "independent", "y": "independent"}}
    assert (chart["spec"]["width"], chart["spec"]["height"]) == (300, 300), "which VS Code replaces"


@pytest.mark.parametrize("y", [["train_loss", "validation_loss"], ["learning_rate"]], ids=len)
def test_a_chart_of_curves_can_be_resized_and_zoomed_and_draws_training_as_the_pictures_do(y: list[str]) -> None:
    row = {"epoch": "1", "rev": "one", **dict.fromkeys(y, "0.5")}
    chart = filled("learning_curve", "epoch", y, [row | ({"filename": "a.csv", "field": name} if y[1:] else {}) for name in y])
    assert (chart["width"], chart["height"]) == (300, 300)
    lines, filled_points, hollow_points = chart["layer"][0]["layer"]
    assert [param["bind"] for param in lines["params"]] == ["scales"]
    dash = lines["encoding"]["strokeDash"]
    assert (dash["sort"], dash["scale"]["range"][:2]) == ("descending", [[1, 0], [6, 4]]), "validation solid, training dashed"
    assert dash["legend"]["labelOpacity"]["expr"] == "length(domain('strokeDash')) > 1 ? 1 : 0", "one column needs no legend"
    assert [points["encoding"]["shape"]["field"] for points in (filled_points, hollow_points)] == ["rev", "rev"]
    assert (filled_points["transform"], filled_points["mark"]["filled"]) == ([{"filter": "!datum.is_training"}], True)
    assert (hollow_points["transform"], hollow_points["mark"]["filled"]) == ([{"filter": "datum.is_training"}], False)


def test_a_chart_of_accuracy_is_in_percent_and_has_the_words_of_the_pictures() -> None:
    properties = next(plot["Accuracy"] for plot in PIPELINE["plots"] if "Accuracy" in plot)
    row = {"epoch": "1", "rev": "one", "train_accuracy": "0.5", "dvc_inferred_y_value": "0.5", "field": "train_accuracy"}
    chart = filled("learning_curve", "epoch", ["dvc_inferred_y_value", "b"], [row], y_label=properties["y_label"])
    assert chart["params"] == [{"name": "quantity", "value": "accuracy"}]
    curves, tooltip = chart["layer"]
    assert curves["encoding"]["y"]["axis"]["labelExpr"] == "format(datum.value, test(/accuracy/, quantity) ? '.4~p' : '.4~g')"
    assert "test(/accuracy/, quantity) ? '.2%' : '.4~g'" in tooltip["transform"][0]["calculate"]
    words = next(step["calculate"] for step in chart["transform"] if step["as"] == "curve")
    assert "'training'" in words
    assert "'validation'" in words


def test_the_tooltip_of_a_curve_does_not_inherit_an_axis_that_its_data_lack() -> None:
    chart = filled("learning_curve", "epoch", ["learning_rate"], [{"epoch": "1", "rev": "one", "learning_rate": "0.001"}])
    tooltip = chart["layer"][1]
    assert tooltip["transform"][-1]["pivot"] == "series"
    assert set(chart["encoding"]) | set(tooltip["encoding"]) == {"x", "color", "opacity"}, "Vega drops rows without a y"


def test_with_many_classes_a_matrix_has_no_numbers_and_only_names_that_fit() -> None:
    chart = filled("confusion_matrix", "predicted", ["actual"], [{"actual": "a", "predicted": "b", "count": "1", "rev": "one"}])
    classes = {"joinaggregate": [{"op": "distinct", "field": "predicted", "as": "classes"}], "groupby": ["rev"]}
    assert classes in chart["transform"]
    _, numbers = chart["spec"]["layer"]
    assert numbers["transform"] == [{"filter": "datum.classes <= 20"}]
    assert [chart["spec"]["encoding"][axis]["axis"]["labelOverlap"] for axis in "xy"] == ["greedy", "greedy"]


def test_confusions_and_recall_are_listed_for_all_revisions_in_one_chart() -> None:
    chart = filled("confusions", "predicted", ["actual"], [{"actual": "a", "predicted": "b", "count": "1", "rev": "one"}])
    assert {"filter": "datum.position <= 8"} in chart["transform"]
    assert chart["facet"]["row"]["sort"] == ["Most frequent confusions", "Classes with the lowest recall"]
    assert all(f"'{name}'" in json.dumps(chart["transform"]) for name in chart["facet"]["row"]["sort"])
    assert chart["spec"]["layer"][0]["encoding"]["color"]["field"] == chart["spec"]["encoding"]["yOffset"]["field"] == "rev"


def test_the_page_hides_only_pictures_that_a_chart_repeats() -> None:
    from dvc_render.base import Renderer

    page = (ROOT / ".dvc/plots/offline.html").read_text(encoding="utf-8")
    repeated = dict(re.findall(r'"#(\w+)": "(\w+)"', page[page.index("var repeated = {") :].partition("}")[0]))
    assert repeated == {"plots_confusion_matrix_csv": "plots_confusion_matrix_png", "Accuracy": "plots_learning_curve_png"}
    names = [name for plot in PIPELINE["plots"] for name in plot]
    names += [path for stage in STAGES.values() for plot in stage.get("plots", []) for path in plot]
    assert {*repeated, *repeated.values()} <= {Renderer.remove_special_chars(name) for name in names}


README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*DOCS, *(ROOT / path for path in TRACKED if path.endswith(".md") and not path.startswith("docs/"))]
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def results(path: str) -> list[str]:
    """Return a file of results as it is and as committed: the README stays right when a user's own run changes the file."""
    committed = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return [text for text in ((ROOT / path).read_text(encoding="utf-8"), committed) if text]


TABLES = {
    path.parent.name: results(path.relative_to(ROOT).as_posix()) for path in sorted((ROOT / "docs").glob("*/comparison.md"))
}
METRICS = [
    (json.loads(test), json.loads(train))
    for test, train in zip(results("metrics/test.json"), results("metrics/train.json"), strict=True)
]


def processor(train: dict[str, Any]) -> str:
    return f"{train['processor']}, {train['threads']} threads, {train['precision']}"


def rows(table: str) -> list[dict[str, str]]:
    """Return the rows of a Markdown table, each by the names of its columns."""
    head, _, *lines = ([cell.strip() for cell in line.strip("| ").split("|")] for line in table.strip().splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]


def published(variant: str) -> tuple[Path, str, dict[str, str]]:
    """Return the page with the results of a variant other than the default, the table in it, and its row."""
    for tables in TABLES.values():
        for page in DOCS:
            for table in tables:
                for row in rows(table):
                    if row["variant"] == variant and table in page.read_text(encoding="utf-8"):
                        return page, table, row
    raise AssertionError(
        f"no page in docs/ contains a table with {variant}: run python -m tools.compare {variant} --output docs/{variant}"
    )


def test_the_results_in_the_readme_are_those_of_the_metrics() -> None:
    expected = [
        f"""| | |
| --- | --- |
| test accuracy | {test["accuracy"]:.1%} (95 % interval {test["accuracy_low"]:.1%} to {test["accuracy_high"]:.1%}) |
| validation accuracy, best epoch | {train["validation_accuracy"]:.1%}, epoch {train["best_epoch"]} |
| parameters | {train["parameters"]:,} |
| training | {train["seconds"]:.0f} s, {train["images_per_second"]:,} images per second |
| processor | {processor(train)} |
"""
        for test, train in METRICS
    ]
    assert any(table in README for table in expected), f"README.md should contain\n{expected[0]}"


def test_the_readme_is_short_and_in_the_order_in_which_a_user_meets_things() -> None:
    assert len(README.splitlines()) < 130
    positions = [
        README.index(part)
        for part in ("make repro", "make demo", 'src="plots/learning_curve.png"', "| test accuracy |", "```mermaid")
    ]
    assert positions == sorted(positions)
    assert re.findall(r"^## (.+)$", README, re.MULTILINE) == [
        "Results",
        "How the pipeline fits together",
        "Change something and see what it did",
        "Your own images",
        "Variants",
        "Links",
    ]


def test_the_readme_says_where_to_change_what_a_stranger_asks_for() -> None:
    table = README.partition("| to change | look at |")[2].partition("\n\n")[0]
    params = flatten(read_yaml(ROOT / "params.yaml"))
    for place in re.findall(r"`([\w./]+)`", table):
        if "/" in place or place.endswith(".yaml"):
            assert (ROOT / place).is_file(), place
        else:
            assert [key for key in params if key == place or key.startswith(f"{place}.")], place
    for question in ("width", "layers", "learning rate", "crop", "colour of a curve", "data comes from"):
        assert question in table


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_pictures_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"(?:\]\(|(?:src|srcset)=\")([^)\s\"]+)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings], link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_name_commands_and_options_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL) + re.findall(r"(?<!`)`([^`]+)`", text))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target, variables in re.findall(r"^make ([a-z]+)((?: [A-Z]+=(?:\"[^\"]*\"|\S+))*)", code, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for variable in re.findall(r" ([A-Z]+)=", variables):
            assert f"$({variable})" in makefile, variable
    for module, arguments in re.findall(r"python3? -m ((?:benchmarks|stages|tools)\.\w+)([^#\n]*)", code):
        path = ROOT / module.replace(".", "/")
        source = (path / "__main__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
        for option in set(re.findall(r" (--[a-z-]+)", arguments)) - {"--help"}:
            assert f'"{option}"' in source + (ROOT / "tools/trained.py").read_text(encoding="utf-8"), option


@pytest.mark.parametrize("page", [ROOT / "README.md", *DOCS], ids=lambda page: page.name)
def test_pages_name_params_that_exist(page: Path) -> None:
    params = flatten(read_yaml(ROOT / "params.yaml"))
    for key, suffix in re.findall(
        r"[`\s]((?:data|network|augmentation|train|evaluate|plot)\.(\w+))[`:=]", page.read_text("utf-8")
    ):
        assert key in params or suffix in ("json", "npz", "py", "safetensors"), key


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_every_page_is_linked_from_the_readme(page: Path) -> None:
    assert f"(docs/{page.name})" in README


@pytest.mark.parametrize("name", TABLES)
def test_the_published_tables_are_those_that_compare_wrote(name: str) -> None:
    pages = [page for page in DOCS if any(table in page.read_text(encoding="utf-8") for table in TABLES[name])]
    assert len(pages) == 1, f"one page in docs/ should contain\n{TABLES[name][0]}"


def test_the_published_benchmark_is_that_which_bench_wrote() -> None:
    tables = [text.split("\n\n")[1] for text in results("docs/benchmarks/full.md")]
    page = (ROOT / "docs/speed.md").read_text(encoding="utf-8")
    assert any(table in page for table in tables), f"docs/speed.md should contain\n{tables[0]}"


def test_every_share_that_the_study_quotes_is_in_a_table() -> None:
    lines = (ROOT / "docs/study.md").read_text(encoding="utf-8").splitlines()
    quoted = re.findall(r"\d+\.\d(?:%| points)", "\n".join(line for line in lines if not line.startswith("|")))
    assert quoted
    for share in quoted:
        assert share.replace(" points", " |") in "\n".join(line for line in lines if line.startswith("|")), share


def check_header(name: str, expected: list[list[str]]) -> None:
    """Check the comments at the top of a variant's file, below its title: any of `expected`."""
    header = (ROOT / f"variants/{name}.yaml").read_text(encoding="utf-8").splitlines()[1:4]
    assert header in expected, f"variants/{name}.yaml should have\n" + "\n".join(expected[0])


def test_the_default_variant_begins_with_the_metrics() -> None:
    header = (ROOT / "variants/augmented.yaml").read_text(encoding="utf-8")
    (version,) = re.findall(r"^# Measured: version ([\d.]+),", header, re.MULTILINE)
    assert f"\n## {version}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    expected = [
        [
            f"# Expected: test accuracy {test['accuracy']:.1%} ({test['accuracy_low']:.1%} to {test['accuracy_high']:.1%}), "
            f"{train['seconds']:.0f} s of training",
            f"# Measured: version {version}, {processor(train)}; metrics/",
            "# Command: make repro",
        ]
        for test, train in METRICS
    ]
    check_header("augmented", expected)


@pytest.mark.parametrize("path", sorted((ROOT / "variants").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_network_of_a_variant_takes_the_images_of_its_data_set(path: Path, params: Params) -> None:
    values = parse_params(merge(dataclasses.asdict(params), read_yaml(path) or {}), str(path))
    rows, columns, channels = DATA_SETS[values.data.name].image_shape
    info = DatasetInfo(tuple(map(str, range(100))), (0.5,) * channels, (0.25,) * channels)
    network = build_network(values.network, (rows, columns, channels), info, seed=0).eval()
    for size in {rows, *values.train.image_sizes}:
        assert network(torch.zeros(2, size, size, channels, dtype=torch.uint8)).shape == (2, 100)


# A variant of one's own need not say what it reaches.
PUBLISHED = {path.stem for path in (ROOT / "variants").glob("*.yaml") if "# Expected:" in path.read_text(encoding="utf-8")}
STUDIED = {"initial", "batchnorm", "narrow", "smoothing", "cosine", "speedrun", "accurate"}


def test_the_variants_of_the_study_say_what_they_reach() -> None:
    assert {"augmented", "digits", *STUDIED} <= PUBLISHED


@pytest.mark.parametrize("name", sorted(PUBLISHED - {"augmented"}))
def test_a_variant_begins_with_what_its_published_table_says(name: str) -> None:
    page, table, row = published(name)
    before = " ".join(page.read_text(encoding="utf-8").partition(table)[0].rpartition("\n## ")[2].split())
    found = re.search(r"Version ([\d.]+) \(commit `\w+`\)(.*?no GPU).*?: (.*)$", before)
    assert found, f"{page.name} should state version, commit, hardware and command before the table"
    version, hardware, commands = found.groups()
    command = "make demo" if name == "digits" else f"make variant NAME={name}"
    command = next((text for text in re.findall(r"`([^`]+)`", commands) if f"tools.variant {name} " in text), command)
    expected = [
        f"# Expected: test accuracy {row['test accuracy']}, {row['seconds']} s of training",
        f"# Measured: version {version}{hardware}; {page.relative_to(ROOT).as_posix()}",
        f"# Command: {command}",
    ]
    check_header(name, [expected])


def test_the_readme_lists_the_variants_with_their_published_results() -> None:
    table = rows("\n".join(line for line in README.partition("## Variants")[2].splitlines() if line.startswith("|")))
    names = [row["variant"].partition("]")[0].removeprefix("[") for row in table]
    assert set(names) == STUDIED
    for name, row in zip(names, table, strict=True):
        _, _, expected = published(name)
        assert row["test accuracy"] == expected["test accuracy"].partition(" ")[0], name
        assert row["training"] == f"{expected['seconds']} s", name
        measured = re.search(r"version ([\d.]+).*\((.+)\),", (ROOT / f"variants/{name}.yaml").read_text(encoding="utf-8"))
        assert measured
        assert row["measured with"] == f"{measured[1]}, {measured[2]}", name


def test_there_is_one_version_number() -> None:
    assert re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[0] == VERSION
    for path in [ROOT / "CITATION.cff", *(ROOT / module for module in MODULES)]:
        assert not re.findall(r"^(?:__version__|version|VERSION)\b", path.read_text(encoding="utf-8"), re.MULTILINE), path


@pytest.mark.skipif(not TRACKED, reason="not a Git checkout")
def test_autocrlf_changes_no_bytes() -> None:
    attributes = subprocess.run(
        ["git", "check-attr", "text", "eol", "--", *TRACKED], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    values = dict(line.rsplit(": ", 1) for line in attributes.splitlines())
    for path in TRACKED:
        binary = values[f"{path}: text"] == "unset"
        assert binary == path.endswith((".png", ".npz")), path
        assert binary or values[f"{path}: eol"] == "lf", path


@pytest.mark.parametrize(
    "name",
    [".venv", "models", "checkpoints", "demo", "export", "comparison", "logs", "dvc_plots", "mlruns", "report", "tensorboard"],
)
def test_git_ignores_what_is_a_link_to_another_disk_too(tmp_path: Path, name: str) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    (tmp_path / name).symlink_to("/")
    listing = ["git", "-C", str(tmp_path), "status", "--porcelain"]
    assert subprocess.run(listing, capture_output=True, text=True, check=True).stdout == "?? .gitignore\n"


def test_hosted_ci_runs_the_same_script_on_the_whole_history() -> None:
    jobs = read_yaml(ROOT / ".github/workflows/ci.yml")["jobs"]
    assert ".ci/run" in [step.get("run") for step in jobs["linux"]["steps"]]
    for job in jobs.values():
        assert [step["with"]["fetch-depth"] for step in job["steps"] if "checkout" in step.get("uses", "")] == [0]


def test_nothing_is_given_to_a_shell_and_nothing_is_unpickled() -> None:
    for path in [path for folder in ("classifier", "stages", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py")]:
        text = path.read_text()
        assert not re.findall(r"shell=True|os\.system|os\.popen|(?<![.\w])(?:eval|exec)\(|allow_pickle=True", text), path
        assert not re.findall(r"\.extract(?:all)?\((?!.*filter=\"data\")", text), path
        assert "pickle." not in text, path
        assert text.count("torch.load(") == text.count("weights_only=True"), path


@pytest.mark.skipif(not TRACKED, reason="not a Git checkout")
def test_no_data_and_no_model_is_in_git() -> None:
    study = re.compile(r"data/README\.md|docs/study/experiments/\w+/data/predictions\.npz")  # 190 kB each
    tracked = [path for path in TRACKED if not study.fullmatch(path)]
    assert not [path for path in tracked if path.startswith(("data/", "models/")) or path.endswith((".pt", ".npz", ".tar.gz"))]


def test_setuptools_finds_the_packages_of_the_project() -> None:
    program = "from setuptools import Distribution as D; d = D(); d.parse_config_files(); d.set_defaults(); print(*d.packages)"
    shown = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {name.partition(".")[0] for name in shown.split()} == {"benchmarks", "classifier", "stages", "tools"}
