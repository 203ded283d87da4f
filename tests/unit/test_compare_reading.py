"""Run folders as `adtool compare` reads them."""

from adtoolkit.compare.reading import read_run


def test_a_run_that_left_out_the_usual_window_is_read(tmp_path):
    (tmp_path / "config.toml").write_text('seed = 3\n[data]\nname = "dijets"\n[window]\nnone = true\n')
    (tmp_path / "manifest.json").write_text('{"status": "done"}')
    (tmp_path / "metrics.json").write_text('{"auc": 0.7}')

    record = read_run(tmp_path)

    assert (record.status, record.window, record.seed, record.metrics) == ("done", None, 3, {"auc": 0.7})
    assert record.config == {"data.name": "dijets"}


def test_windows_that_differ_in_the_seventh_digit_are_two(tmp_path):
    found = []
    for lo in (3300000, 3300004):
        folder = tmp_path / str(lo)
        folder.mkdir()
        (folder / "config.toml").write_text(f'[data]\nname = "table"\n[window]\nlo = {lo}.0\nhi = 3700000.0\n')
        (folder / "manifest.json").write_text('{"status": "done"}')
        found.append(read_run(folder).config["window"])

    assert found == ["3300000-3700000", "3300004-3700000"]
