"""Tables in: both formats, and one line for every mistake."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexsolve.instances.calibration.aiconfigurator import to_csv
from hexsolve.instances.calibration.table import Row, first_of_each, grouped, read_table
from hexsolve.instances.catalog import load_catalog
from hexsolve.models.errors import InputError

CATALOG = load_catalog()
GRID = "model,gpu,tp,phase,batch,new_tokens,cached_tokens,latency_ms\n"
LINE = "llama-3.1-8b,h100_sxm,1,prefill,2,128,64,12.5\n"


def write(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_grid_format(tmp_path):
    text = GRID + LINE + "meta-llama/Llama-3.1-8B,H100,2,decode,4,1,1024,3.25\n"
    assert read_table(write(tmp_path, text), CATALOG) == [
        Row("llama-3.1-8b", "h100", 1, "prefill", 2, 128, 64, 0.0125),
        Row("llama-3.1-8b", "h100", 2, "decode", 4, 1, 1024, 0.00325),
    ]


def test_sequence_format_with_further_columns(tmp_path):
    text = (
        "source,gpu,model,tp,phase,batch,tokens_per_seq,time_ms,n_raw\n"
        "x,a100-80gb,llama2-70b,8,prefill,2,512,100,5\n"
        "x,a100-80gb,llama2-70b,8,decode,16,1088,50,5\n"
    )
    assert read_table(write(tmp_path, text), CATALOG) == [
        Row("llama-2-70b", "a100-80", 8, "prefill", 2, 512, 0, 0.1),
        Row("llama-2-70b", "a100-80", 8, "decode", 16, 1, 1088, 0.05),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("llama-3.1-8b", "gpt-9", "line 2: model: unknown LLM 'gpt-9'; allowed: "),
        ("h100_sxm", "h101", "line 2: gpu: unknown GPU type 'h101'; allowed: "),
        (",1,prefill", ",x,prefill", "line 2: tp: is 'x'; allowed: a whole number from 1"),
        (",1,prefill", ",1.5,prefill", "line 2: tp: is '1.5'"),
        (",1,prefill", ",0,prefill", "line 2: tp: is '0'"),
        ("prefill", "train", "line 2: phase: is 'train'; allowed: prefill, decode"),
        (",2,128", ",0,128", "line 2: batch: is '0'; allowed: a number from 1"),
        (",128,", ",nan,", "line 2: new_tokens: is 'nan'"),
        (",64,", ",-1,", "line 2: cached_tokens: is '-1'; allowed: a number from 0"),
        ("12.5", "inf", "line 2: latency_ms: is 'inf'"),
        ("12.5", "0", "line 2: latency_ms: is '0'"),
        ("12.5", "", "line 2: latency_ms: is ''"),
        (",12.5", "", "line 2: latency_ms: is None"),
    ],
)
def test_mistakes_name_file_line_field_value(tmp_path, old, new, message):
    path = write(tmp_path, GRID + LINE.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_table(path, CATALOG)
    assert str(caught.value).startswith(f"{path}, {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (GRID, "has a header but no rows"),
        ("a,b\n1,2\n", "column 'model' is missing in line 1; allowed: model,gpu,tp"),
        (GRID + '"unfinished', "is not CSV"),
    ],
)
def test_files_that_are_no_table(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_table(write(tmp_path, text), CATALOG)


def test_missing_binary_and_oversized_files(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="No such file"):
        read_table(tmp_path / "none.csv", CATALOG)
    binary = tmp_path / "binary.csv"
    binary.write_bytes(GRID.encode() + b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        read_table(binary, CATALOG)
    monkeypatch.setattr("hexsolve.instances.calibration.table.FILE_LIMIT_BYTES", 10)
    with pytest.raises(InputError, match="is larger than"):
        read_table(write(tmp_path, GRID + LINE), CATALOG)


@given(st.text(alphabet=st.sampled_from('llama-3.1-8b,h100prefilld\n"0129.e-nainf '), max_size=300))
@settings(deadline=None, derandomize=True, max_examples=200)
def test_any_text_is_read_or_refused_in_one_line(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "table.csv"
    path.write_text(GRID + text, encoding="utf-8")
    try:
        rows = read_table(path, CATALOG)
    except InputError as error:
        lines = str(error).splitlines()
        named = error.source
    else:
        lines, named = ["fine"], str(path)
        assert rows
    assert len(lines) == 1
    assert named is not None
    assert named.startswith(str(path))


def test_written_tables_are_read_back(tmp_path):
    rows = [
        Row("qwen3-32b", "h100", 2, "prefill", 4, 256, 0, 0.0123456),
        Row("qwen3-32b", "h100", 2, "decode", 4, 1, 512, 0.0012),
    ]
    again = read_table(write(tmp_path, to_csv(rows)), CATALOG)
    assert [row[:-1] for row in again] == [row[:-1] for row in rows]
    for row, old in zip(again, rows, strict=True):
        assert row.seconds == pytest.approx(old.seconds, abs=1e-7)


def test_groups_keep_order_and_the_first_table_wins():
    one = Row("a", "g", 1, "prefill", 1, 8, 0, 1.0)
    two = Row("a", "g", 1, "decode", 1, 1, 8, 1.0)
    other = Row("b", "g", 1, "decode", 1, 1, 8, 1.0)
    assert list(grouped([two, other, one])) == [("a", "g", 1), ("b", "g", 1)]
    assert grouped([two, one])["a", "g", 1] == {"prefill": [one], "decode": [two]}
    late = one._replace(seconds=9.0)
    assert first_of_each([[one, two], [late, other]]) == [one, two, other]
