from pathlib import Path

import pytest

from batch_processing.cli.places import parse_settings, pipeline_file
from batch_processing.errors import UsageError


def test_settings_are_split_at_the_first_equals_sign() -> None:
    assert parse_settings(["a=1", "query=x=y", "empty="]) == {"a": "1", "query": "x=y", "empty": ""}


@pytest.mark.parametrize("text", ["novalue", "=1", "two words=1", "1a=2", ""])
def test_a_malformed_setting_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="--set name=value"):
        parse_settings([text])


def test_a_refused_setting_does_not_repeat_its_value() -> None:
    with pytest.raises(UsageError) as caught:
        parse_settings(["bad name=hunter2"])
    assert "hunter2" not in str(caught.value)


def test_a_setting_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="twice"):
        parse_settings(["a=1", "a=2"])


def test_a_named_file_is_taken_as_it_is(tmp_path: Path) -> None:
    assert pipeline_file(tmp_path / "not_there.yml") == tmp_path / "not_there.yml"


def test_pipeline_yml_wins_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yml").write_text("pipeline: a")
    (tmp_path / "other.yml").write_text("pipeline: b")
    assert pipeline_file(tmp_path) == tmp_path / "pipeline.yml"


def test_the_only_declaration_of_a_folder_is_found_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "mkdocs.yml").write_text("site_name: x")
    (tmp_path / "orders.yaml").write_text("# daily\npipeline: orders")
    assert pipeline_file(tmp_path) == tmp_path / "orders.yaml"


def test_several_declarations_are_named(tmp_path: Path) -> None:
    for name in ("a.yml", "b.yml"):
        (tmp_path / name).write_text("pipeline: x")
    with pytest.raises(UsageError, match=r"a\.yml, b\.yml"):
        pipeline_file(tmp_path)


def test_a_folder_without_any_says_how_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="batchctl init"):
        pipeline_file(None)
