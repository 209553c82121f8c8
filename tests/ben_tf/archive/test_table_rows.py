"""Tables that would fill the memory, or wait, are refused."""

import os

import pandas as pd
import pytest

from ben_tf import errors
from ben_tf.archive import table_rows


@pytest.mark.parametrize("num_rows", [10, 3000])
def test_tables_that_are_too_large_are_refused(tmp_path, monkeypatch, num_rows):
    monkeypatch.setattr(table_rows, "_MOST_BYTES", 2000 * 100)
    rows = {"name": ["x" * 100] * num_rows}
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    # Small as a file, since all its rows are the same.
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 10_000
    for name in ("t.csv", "t.parquet"):
        if num_rows == 10:
            columns, found = table_rows.read(tmp_path / name)
            assert columns == ["name"]
            assert found == [{"name": "x" * 100}] * 10
        else:
            with pytest.raises(
                errors.UserError, match="more than 200,000 byte"
            ):
                table_rows.read(tmp_path / name)


def test_pipes_and_folders_are_no_tables(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(errors.UserError, match="cannot be read"):
            table_rows.read(path)


def test_cells_are_as_in_the_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b' a ,b\r\n"x, y" , "1"\r\n\r\n"two\nlines",\r\n')
    with pytest.raises(errors.UserError, match="cannot be read"):
        table_rows.read(path)
    path.write_bytes(b' a ,b\r\n"x, y", 1 \r\n\r\n"two\nlines",\r\n')
    assert table_rows.read(path) == (
        ["a", "b"],
        [{"a": "x, y", "b": "1"}, {"a": "two\nlines", "b": ""}],
    )
