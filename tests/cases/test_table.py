import pytest

from flairline.cases.table import CaseTable
from flairline.errors import TableError


@pytest.fixture
def write(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        (tmp_path / name).write_bytes(b"x")

    def write(text: str, **words) -> CaseTable:
        (tmp_path / "cases.csv").write_text(text, **words)
        return CaseTable(tmp_path / "cases.csv")

    return write


def test_paths_are_relative_to_the_table_or_absolute(tmp_path, write):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "c.nii").write_bytes(b"x")
    one, two = write(
        f"dataset,subject,flair,t1,t2,brain,truth\nd,1,a.nii.gz,,,,below/c.nii\nd,2,{tmp_path}/b.nii.gz,,,,\n"
    ).cases()
    assert one.flair == tmp_path / "a.nii.gz" and one.truth == tmp_path / "below" / "c.nii"
    assert two.flair == tmp_path / "b.nii.gz" and two.t1 is two.t2 is two.brain is two.truth is None


def test_further_columns_are_kept(write):
    (case,) = write("age,dataset,subject,flair,session,site\n44,d,1,a.nii.gz,s2,Bonn\n").cases()
    assert dict(case.extra) == {"age": "44"} and (case.session, case.site) == ("s2", "Bonn")


def test_spaces_blank_lines_and_a_byte_order_mark_do_no_harm(write):
    (case,) = write("dataset, subject ,flair\n\nd, 1 , a.nii.gz\n,,\n", encoding="utf-8-sig").cases()
    assert (case.dataset, case.subject, case.flair.name) == ("d", "1", "a.nii.gz")


def test_sessions_and_data_sets_tell_subjects_apart(write):
    text = "dataset,subject,session,flair\nd,1,a,a.nii.gz\nd,1,b,a.nii.gz\ne,1,a,a.nii.gz\n"
    assert len(write(text).cases()) == 3
    with pytest.raises(TableError, match="line 5: subject '1' of 'd' stands in line 2 already"):
        write(text + "d,1,a,b.nii.gz\n").cases()


def test_what_is_required_can_be_chosen(write):
    table = write("dataset,subject,score,truth\nd,1,a.nii.gz,b.nii.gz\n")
    assert table.cases(required=("truth",))[0].score.name == "a.nii.gz"
    assert table.columns() == ["dataset", "subject", "score", "truth"]
    with pytest.raises(TableError, match="line 1: wanted the column 'flair'"):
        table.cases()
