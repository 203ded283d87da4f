"""Columns are read from every format, and damage is told in one sentence."""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from adtoolkit.data.readers import exactly, file_format, read_columns
from adtoolkit.errors import DataError, UnknownNameError

N = 50


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    return {"m": rng.random(N), "a": rng.random(N).astype(np.float32), "label": rng.integers(0, 2, N)}


def write_pandas_fixed(path: Path, columns, key="df", **how):
    """What pandas and PyTables write: one block of [rows, columns] per type."""
    with h5py.File(path, "w") as file:
        group = file.create_group(key)
        group["axis0"] = np.array([name.encode() for name in columns])
        group["axis1"] = np.arange(len(next(iter(columns.values()))))
        for i, kind in enumerate(sorted({c.dtype.str for c in columns.values()})):
            names = [name for name, c in columns.items() if c.dtype.str == kind]
            group[f"block{i}_items"] = np.array([name.encode() for name in names])
            values = group.create_dataset(f"block{i}_values", data=np.column_stack([columns[name] for name in names]), **how)
            values.attrs["transposed"] = np.uint8(1)


def as_array(columns):
    return np.column_stack(list(columns.values()))


def write(path: Path, layout: str, columns) -> str:
    """Write in one of the layouts; return the key to read it with."""
    if layout == "pandas":
        write_pandas_fixed(path, columns)
    elif layout == "pandas, blosc":
        write_pandas_fixed(path, columns, **hdf5plugin.Blosc())
    elif layout.startswith("hdf5"):
        with h5py.File(path, "w") as file:
            if layout == "hdf5 datasets":
                for name, column in columns.items():
                    file[name] = column
            elif layout == "hdf5 group":
                for name, column in columns.items():
                    file[f"events/{name}"] = column
                return "events"
            elif layout == "hdf5 attribute":
                file["events"] = as_array(columns)
                file["events"].attrs["columns"] = list(columns)
            elif layout == "hdf5 names beside":
                file["events"] = as_array(columns)
                file["columns"] = [name.encode() for name in columns]
            else:
                table = np.zeros(N, [(name, c.dtype) for name, c in columns.items()])
                for name, column in columns.items():
                    table[name] = column
                file["table"] = table
    elif layout == "npz":
        np.savez(path, **columns)
    elif layout == "npz events":
        np.savez(path, events=as_array(columns), columns=list(columns))
    elif layout == "csv":
        rows = [", ".join(columns), *(",".join(repr(v.item()) for v in row) for row in zip(*columns.values(), strict=True))]
        path.write_text("\n".join(rows) + "\n\n")
    elif layout == "parquet":
        pa = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pa.table(columns), path)
    else:
        uproot = pytest.importorskip("uproot")
        with uproot.recreate(path) as file:
            file.mktree("events", {name: c.dtype for name, c in columns.items()}).extend(columns)
    return ""


SUFFIX = {"pandas": "h5", "hdf5": "h5", "npz": "npz", "csv": "csv", "parquet": "parquet", "root": "root"}
LAYOUTS = [
    "pandas",
    "pandas, blosc",
    "hdf5 datasets",
    "hdf5 group",
    "hdf5 attribute",
    "hdf5 names beside",
    "hdf5 compound",
    "npz",
    "npz events",
    "csv",
    "parquet",
    "root",
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_its_columns_back(tmp_path, columns, layout):
    path = tmp_path / f"events.{SUFFIX[layout.replace(',', ' ').split()[0]]}"
    key = write(path, layout, columns)

    everything = read_columns(path)
    some = read_columns(path, key, exactly("m", "label"))

    assert {name: c.tolist() for name, c in everything.items()} == {
        name: pytest.approx(c.tolist(), rel=1e-7) for name, c in columns.items()
    }
    assert list(some) == ["m", "label"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_column_is_told_with_the_nearest_name(tmp_path, columns, layout):
    path = tmp_path / f"events.{SUFFIX[layout.replace(',', ' ').split()[0]]}"
    write(path, layout, columns)

    with pytest.raises(UnknownNameError, match=r"no column 'lable'.*Did you mean 'label'"):
        read_columns(path, choose=exactly("lable"))


@pytest.mark.parametrize("layout", ["pandas", "hdf5 datasets", "npz", "parquet", "root"])
@pytest.mark.parametrize("left", [0.1, 0.6, 0.97])
def test_a_truncated_file_is_one_clear_error(tmp_path, columns, layout, left):
    path = tmp_path / f"events.{SUFFIX[layout.split()[0]]}"
    write(path, layout, columns)
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content))])

    with pytest.raises(DataError, match=r"events\.\w+ is damaged or cut short: ") as caught:
        read_columns(path)
    assert "\n" not in str(caught.value)


def test_a_csv_cut_in_the_middle_of_a_line_is_told_with_its_line(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("m,a,b\n1.0,2.0,3.0\n1.5,2.5,3.5\n4.0,5.")

    with pytest.raises(DataError, match=r"Line 4 of .* has 2 fields where the header names 3"):
        read_columns(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("events.h5", b"m,a\n1,2\n", "is not an HDF5 file"),
        ("events.npz", b"\x89HDF\r\n\x1a\n" + bytes(600), "is damaged or cut short"),
        ("events.csv", b"", "is empty"),
        ("events.dat", b"\x00\x01\x02", "format .* is not known"),
        ("events.csv", b"1.0,2.0\n3.0,4.0\n", "does not name the columns"),
        ("events.csv", b"a,b,a\n1.0,2.0,3.0\n", "duplicated columns: 'a'"),
        ("events.csv", b"a,b\n\xff\xfe,1.0\n", "not a text file"),
    ],
)
def test_a_file_that_is_something_else_is_one_clear_error(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(DataError, match=message):
        read_columns(tmp_path / name)


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(DataError, match="no file"):
        file_format(tmp_path / "nothing.h5")
    with pytest.raises(DataError, match="is a folder"):
        file_format(tmp_path)


def test_hdf5_without_named_columns_lists_what_it_holds(tmp_path):
    with h5py.File(tmp_path / "e.h5", "w") as file:
        file["raw/particles"] = np.zeros((3, 4))

    with pytest.raises(DataError, match="no table with named columns: raw, raw/particles"):
        read_columns(tmp_path / "e.h5")


def test_several_tables_ask_for_a_key(tmp_path):
    with h5py.File(tmp_path / "e.h5", "w") as file:
        file["one/m"], file["two/m"] = np.zeros(3), np.ones(4)

    with pytest.raises(DataError, match=r"several tables: /one, /two\. Choose one: --set data\.key"):
        read_columns(tmp_path / "e.h5")
    with pytest.raises(UnknownNameError, match=r"no group or dataset 'tow'.*Did you mean 'two'"):
        read_columns(tmp_path / "e.h5", "tow")
    assert len(read_columns(tmp_path / "e.h5", "two")["m"]) == 4


def test_several_trees_ask_for_a_key(tmp_path):
    uproot = pytest.importorskip("uproot")
    with uproot.recreate(tmp_path / "e.root") as file:
        for name in ("nominal", "up"):
            file.mktree(name, {"m": np.float64}).extend({"m": np.arange(3.0)})

    with pytest.raises(DataError, match="2 trees: nominal, up"):
        read_columns(tmp_path / "e.root")
    assert read_columns(tmp_path / "e.root", "up")["m"].tolist() == [0.0, 1.0, 2.0]


def test_pandas_table_format_is_refused_because_of_its_pickles(tmp_path):
    with h5py.File(tmp_path / "e.h5", "w") as file:
        file["df/table"] = np.zeros(3, [("index", "i8"), ("values_block_0", "f8", (2,))])

    with pytest.raises(DataError, match="format='fixed'"):
        read_columns(tmp_path / "e.h5")


def test_pickled_objects_are_never_opened(tmp_path):
    np.savez(tmp_path / "e.npz", m=np.array([{}, []], dtype=object))

    with pytest.raises(DataError, match="Python objects, which are not read"):
        read_columns(tmp_path / "e.npz")


def test_several_values_per_event_and_uneven_lengths_are_told(tmp_path):
    np.savez(tmp_path / "e.npz", m=np.zeros(3), pt=np.zeros((3, 2)))
    np.savez(tmp_path / "u.npz", m=np.zeros(3), pt=np.zeros(4))

    with pytest.raises(DataError, match=r"'pt' of .* several values per event"):
        read_columns(tmp_path / "e.npz")
    with pytest.raises(DataError, match="differ in length: 'm' 3, 'pt' 4"):
        read_columns(tmp_path / "u.npz")


def test_csv_knows_whole_numbers_numbers_and_text(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text('# run; mass ;type;x\n1; 91.0 ;"G";\n2;1e2;T;nan\n3;7;T;2\n')

    columns = read_columns(path)

    assert list(columns) == ["run", "mass", "type", "x"]
    assert [c.dtype.kind for c in columns.values()] == ["i", "f", "U", "f"]
    np.testing.assert_array_equal(columns["x"], [np.nan, np.nan, 2.0])


def test_csv_in_pieces_agrees_with_csv_in_one(tmp_path, monkeypatch):
    path = tmp_path / "e.csv"
    path.write_text("a,b\n" + "".join(f"{i if i < 70 else i + 0.5},{i}\n" for i in range(100)))
    whole = read_columns(path)
    monkeypatch.setattr("adtoolkit.data.readers_csv._CHUNK", 7)
    pieces = read_columns(path)

    assert {k: v.tolist() for k, v in whole.items()} == {k: v.tolist() for k, v in pieces.items()}
    assert whole["a"].dtype == pieces["a"].dtype == np.float64
    assert whole["b"].dtype == pieces["b"].dtype == np.int64


def test_csv_of_twenty_thousand_rows_is_read_quickly(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "e.csv"
    np.savetxt(path, rng.normal(size=(20_000, 20)), delimiter=",", fmt="%.4f", header=",".join(f"c{i}" for i in range(20)), comments="")

    started = time.process_time()
    columns = read_columns(path)
    middle = time.process_time()
    plain = np.genfromtxt(path, delimiter=",", skip_header=1)
    seconds, of_numpy = middle - started, time.process_time() - middle

    assert np.array_equal(columns["c7"], plain[:, 7])
    assert seconds < 2 * of_numpy  # about 0.7 of it
