"""spark-config.yml: read as Spark properties, with every problem named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_processing.errors import DeclarationError
from batch_processing.spark.config_file import shipped_config, with_cores_max
from batch_processing.spark.server import read_spark_config


def config(folder: Path, text: str) -> dict[str, str]:
    path = folder / "spark-config.yml"
    path.write_text(text, encoding="utf-8")
    return read_spark_config(path)


def test_the_shipped_file_has_the_documented_sizes() -> None:
    conf = read_spark_config(shipped_config())
    assert conf["spark.executor.instances"] == "5"
    assert conf["spark.executor.cores"] == "4"
    assert conf["spark.executor.memory"] == "8g"
    assert conf["spark.driver.memory"] == "4g"


def test_values_become_sparks_texts(tmp_path: Path) -> None:
    assert config(tmp_path, "spark.a.b: 1\n".replace("a.b", "ui.port") + "spark.sql.adaptive.enabled: true\n") == {
        "spark.ui.port": "1",
        "spark.sql.adaptive.enabled": "true",
    }
    assert config(tmp_path, "") == {}


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    text = (
        "spark.excutor.cores: 4\nexecutor.memory: 1g\nspark.master: x\nspark.executor.memory: {a: 1}\nspark.ui.port:\n"
    )
    with pytest.raises(DeclarationError) as caught:
        config(tmp_path, text)
    shown = str(caught.value)
    assert "did you mean spark.executor" in shown
    for key in ("spark.excutor.cores", "executor.memory", "spark.master", "spark.executor.memory", "spark.ui.port"):
        assert key in shown
    assert len(caught.value.problems) == 5


@pytest.mark.parametrize("text", ["- a\n", "a: [", "\x00", "just text"])
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DeclarationError, match=r"spark-config\.yml"):
        config(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"none\.yml: cannot be read"):
        read_spark_config(tmp_path / "none.yml")


def test_a_standalone_cluster_gets_no_more_cores_than_asked_for() -> None:
    conf = {"spark.executor.instances": "5", "spark.executor.cores": "4"}
    assert with_cores_max(conf, "spark://h:7077")["spark.cores.max"] == "20"
    assert with_cores_max({**conf, "spark.cores.max": "3"}, "spark://h:7077")["spark.cores.max"] == "3"
    assert "spark.cores.max" not in with_cores_max(conf, "yarn")
    with pytest.raises(DeclarationError, match="whole numbers"):
        with_cores_max({**conf, "spark.executor.cores": "many"}, "spark://h:7077")
