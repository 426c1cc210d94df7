import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_processing.report.flow import MAIN, TALL, WIDE, Flow, Layout, Node, flow
from batch_processing.results import RowCounts


def thickness(node: Node, layout: Layout) -> float:
    return node.height if layout.wide else node.width


def by_name(picture: Flow) -> dict[str, Node]:
    return {node.name: node for node in picture.nodes}


@pytest.mark.parametrize("layout", [WIDE, TALL], ids=["wide", "tall"])
def test_widths_are_proportional_to_rows(layout: Layout) -> None:
    nodes = by_name(flow(RowCounts(1000, 0, 1000, 0, 1000, 500, 500, 250), layout=layout))
    assert thickness(nodes["staged"], layout) == pytest.approx(thickness(nodes["read"], layout) / 2)
    assert thickness(nodes["loaded"], layout) == pytest.approx(thickness(nodes["read"], layout) / 4)


def test_what_leaves_a_node_fills_it() -> None:
    nodes = by_name(flow(RowCounts(1000, 300, 700, 200, 500), layout=WIDE))
    assert nodes["read"].height == pytest.approx(nodes["rejected"].height + nodes["landed"].height)
    assert nodes["landed"].height == pytest.approx(nodes["quarantined"].height + nodes["valid"].height)


def test_one_row_in_a_billion_is_still_seen() -> None:
    nodes = by_name(flow(RowCounts(10**9, 1, 10**9 - 1, 1, 10**9 - 2, 3, 3, 3), layout=WIDE))
    assert all(nodes[name].height >= 3 for name in ("rejected", "quarantined", "loaded"))


def test_a_run_that_has_not_come_far_has_ghosts_and_no_bands_to_them() -> None:
    picture = flow(RowCounts(10, 0, 10), layout=WIDE)
    nodes = by_name(picture)
    assert nodes["valid"].rows is None
    assert nodes["loaded"].rows is None
    assert "quarantined" not in nodes
    assert [band.name for band in picture.bands] == ["landed"]


def test_no_rows_at_all_is_drawn_without_bands() -> None:
    picture = flow(RowCounts(0, 0, 0, 0, 0, 0, 0, 0), layout=WIDE)
    assert picture.bands == ()
    assert {node.rows for node in picture.nodes} == {0}


def test_shares_of_the_leaves_are_of_the_node_they_leave() -> None:
    nodes = by_name(flow(RowCounts(200, 50, 150, 15, 135), layout=WIDE))
    assert nodes["rejected"].share == pytest.approx(0.25)
    assert nodes["quarantined"].share == pytest.approx(0.1)


counts = st.none() | st.integers(0, 10**15)


@given(
    st.builds(RowCounts, counts, counts, counts, counts, counts, counts, counts, counts), st.sampled_from([WIDE, TALL])
)
def test_any_counts_give_a_picture_inside_its_box(rows: RowCounts, layout: Layout) -> None:
    picture = flow(rows, layout=layout)
    assert {node.name for node in picture.nodes} >= set(MAIN)
    for node in picture.nodes:
        assert all(math.isfinite(v) for v in (node.x, node.y, node.width, node.height))
        assert node.width > 0
        assert node.height > 0
        assert 0 <= node.x <= picture.width - node.width
        assert 0 <= node.y <= picture.height - node.height
    for band in picture.bands:
        assert re.fullmatch(r"[MLCZ0-9., ]+", band.path)
