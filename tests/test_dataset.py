import numpy as np
import pytest

from gdiff.dataset import penguins, read_csv
from gdiff.identities.notation import cov, data, general, mean


def test_the_penguins_are_151_birds_with_four_measurements():
    birds = penguins()
    assert birds.rows.shape == (151, 4)
    assert birds.columns[0] == "bill_length_mm"


def test_arguments_stand_off_the_maximum_and_stay_definite():
    birds = penguins()
    rows, mu, s = birds.arguments((data, mean, cov))
    assert np.all(np.abs(mu - rows.mean(axis=0)) > 0)
    assert np.linalg.eigvalsh(s)[0] > 0
    assert birds.arguments((general,)) is None


def test_named_columns_are_read_in_the_order_given(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n1,2,x\n3,5,y\n4,1,z\n")
    assert read_csv(path, ("b", "a")).rows.tolist() == [[2, 1], [5, 3], [1, 4]]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("", None, "the file is empty"),
        ("a;b\n1;2\n", None, "wanted commas"),
        ("1,2\n3,4\n5,7\n", None, "wanted a header"),
        ("a,b\n1,x\n2,3\n4,4\n", None, r"row 1, column 'b': got 'x'.*--columns a"),
        ("a,b\n1,\n2,3\n4,4\n", None, "missing value"),
        ("a,b\n1,NA\n2,3\n4,4\n", None, "missing value"),
        ("a,b\n1,inf\n2,3\n4,4\n", None, "finite"),
        ("a,b\n1,2,3\n2,3\n4,4\n", None, "row 1 has 3 cells, wanted 2"),
        ("a,b\n1,2\n2,3\n", None, "2 rows for 2 columns, wanted at least 3"),
        ("a,b\n1,2\n1,3\n1,4\n", None, "'a' is constant"),
        ("a,b\n1,2\n2,4\n3,6\n4,8\n", None, "a, b are collinear"),
        ("a,b\n1,2\n2,4\n3,7\n", ("c",), "'c' is not there; the columns are a, b"),
        ("a,a\n1,2\n2,4\n3,7\n", ("a",), "more than once"),
        ("a,b\n1,2\n2,4\n3,7\n", ("a", "a"), "named twice"),
    ],
)
def test_bad_files_say_what_was_got_and_what_to_do(tmp_path, text, columns, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_csv(path, columns)


def test_a_missing_file_and_a_binary_one_are_errors(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match="UTF-8"):
        read_csv(tmp_path / "binary.csv")
