"""Tables that use what this writer does not honour are left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, Schema

from batch_processing.delta_lake.log import commit_path
from batch_processing.delta_lake.publish import publish
from batch_processing.errors import TableError
from batch_processing.results import Published

from .files import schema_json, staged_rows

PLAIN = schema_json(id="long", v="string")


def append(root: Path, ids: list[int | None]) -> Published:
    staged = staged_rows(root, [{"id": i, "v": "x"} for i in ids], schema=PLAIN)
    return publish(staged, mode="append", app_id=f"a{ids}", generation=1, metadata={})


def make(root: Path, *, schema: str = PLAIN, **properties: str) -> None:
    DeltaTable.create(
        str(root), Schema.from_json(schema), configuration=dict(properties), raise_if_key_not_exists=False
    )


def rewrite(root: Path, **changes: Any) -> None:
    """Changes the first commit's protocol or metadata by hand, as another writer could have made it."""
    path = commit_path(root, 0)
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for action in actions:
        for key, value in changes.items():
            if key in action:
                action[key] |= value
    path.write_text("\n".join(json.dumps(a) for a in actions))


def test_a_plain_table_of_another_writer_is_written(tmp_path: Path) -> None:
    make(tmp_path)
    assert append(tmp_path, [1]).version == 1


@pytest.mark.parametrize(
    "feature",
    [
        "deletionVectors",
        "rowTracking",
        "domainMetadata",
        "clustering",
        "icebergCompatV1",
        "typeWidening",
        "madeUpLater",
    ],
)
def test_a_table_feature_that_is_not_honoured_is_named(tmp_path: Path, feature: str) -> None:
    make(tmp_path)
    both = [feature] if feature in ("deletionVectors", "typeWidening") else []
    rewrite(
        tmp_path,
        protocol={"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": both, "writerFeatures": [feature]},
    )
    with pytest.raises(TableError, match=rf"{feature}|cannot be read|refused"):
        append(tmp_path, [1])
    assert not commit_path(tmp_path, 1).exists()


@pytest.mark.parametrize(
    ("properties", "text"),
    [
        ({"delta.constraints.positive": "id > 0"}, "constraint positive"),
        ({"delta.enableChangeDataFeed": "true"}, "enableChangeDataFeed"),
        ({"delta.enableRowTracking": "true"}, "enableRowTracking"),
    ],
)
def test_a_property_that_binds_writers_is_named(tmp_path: Path, properties: dict[str, str], text: str) -> None:
    make(tmp_path)
    rewrite(tmp_path, metaData={"configuration": properties})
    with pytest.raises(TableError, match=text):
        append(tmp_path, [1])


@pytest.mark.parametrize("key", ["delta.generationExpression", "delta.identity.start", "delta.invariants"])
def test_a_column_that_is_computed_or_checked_is_named(tmp_path: Path, key: str) -> None:
    schema = json.loads(PLAIN)
    make(tmp_path)
    schema["fields"][0]["metadata"] = {key: "1"}
    rewrite(tmp_path, metaData={"schemaString": json.dumps(schema)})
    with pytest.raises(TableError, match=f"column id with {key}"):
        append(tmp_path, [1])


def test_an_append_only_table_is_appended_to_and_never_replaced(tmp_path: Path) -> None:
    make(tmp_path, **{"delta.appendOnly": "true"})
    append(tmp_path, [1])
    staged = staged_rows(tmp_path, [{"id": 2, "v": "x"}], schema=PLAIN)
    with pytest.raises(TableError, match="append-only"):
        publish(staged, mode="overwrite", app_id="o", generation=1, metadata={})
    assert DeltaTable(tmp_path).to_pyarrow_table()["id"].to_pylist() == [1]


def test_a_not_null_column_takes_files_that_have_no_nulls(tmp_path: Path) -> None:
    schema = json.loads(PLAIN)
    schema["fields"][0]["nullable"] = False
    make(tmp_path, schema=json.dumps(schema))
    append(tmp_path, [1])
    with pytest.raises(TableError, match="NOT NULL"):
        append(tmp_path, [2, None])
