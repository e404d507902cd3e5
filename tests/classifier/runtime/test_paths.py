from pathlib import Path

from classifier.runtime.paths import repository_root


def test_a_temporary_copy_of_the_repository_belongs_to_its_original(tmp_path: Path) -> None:
    assert repository_root(tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmpabc") == tmp_path
    assert repository_root(tmp_path) == tmp_path
