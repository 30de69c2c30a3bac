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


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_spreadsheets_write_is_read(delimiter, encoding, end, write):
    rows = [["Dataset", "SUBJECT", "Flair", "age, years" if delimiter != "," else "age", "Site"]]
    rows += [["d", "Jörg", "a.nii.gz", "4", "Köln"], ["d", "2", ".\\b.nii.gz", "5", "Bonn"]]
    table = write(end.join(delimiter.join(row) for row in rows) + end, encoding=encoding, newline="")
    one, two = table.cases()
    assert (one.subject, one.site, one.flair.name) == ("Jörg", "Köln", "a.nii.gz")
    assert (two.subject, two.flair.name, list(two.extra.values())) == ("2", "b.nii.gz", ["5"])


def test_quoted_headers_and_commas_inside_values_do_no_harm(write):
    text = '"dataset";"subject";"flair";"note"\n"d";"1";"a.nii.gz";"one, two; three"\n'
    (case,) = write(text).cases()
    assert case.flair.name == "a.nii.gz" and case.extra["note"] == "one, two; three"


def test_paths_with_backslashes_are_found(tmp_path, write):
    (tmp_path / "scans" / "deep").mkdir(parents=True)
    (tmp_path / "scans" / "deep" / "c.nii").write_bytes(b"x")
    (case,) = write("dataset,subject,flair\nd,1,scans\\deep\\c.nii\n").cases()
    assert case.flair == tmp_path / "scans" / "deep" / "c.nii"


def test_a_column_that_comes_twice_is_refused(write):
    with pytest.raises(TableError, match="line 1: the column 'flair' comes 2 times"):
        write("dataset,subject,flair,FLAIR\nd,1,a.nii.gz,b.nii.gz\n").cases()


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;"])
def test_a_first_line_that_names_the_delimiter_is_no_header(write, first):
    text = f"{first}\r\ndataset;subject;flair;age, years\r\nd;1;a.nii.gz;4\r\nd;2;b.nii.gz;5\r\n"
    found = write(text, newline="").cases()
    assert [(case.subject, case.flair.name, case.extra["age, years"]) for case in found] == [
        ("1", "a.nii.gz", "4"),
        ("2", "b.nii.gz", "5"),
    ]
    with pytest.raises(TableError, match="line 4, column 'flair': no such file"):
        write(text.replace("b.nii.gz", "c.nii.gz"), newline="").cases()


def test_a_link_that_leads_nowhere_is_left_to_its_scan(write, tmp_path):
    (tmp_path / "annexed.nii.gz").symlink_to(tmp_path / "nowhere")
    found = write("dataset,subject,flair\nd,1,a.nii.gz\nd,2,annexed.nii.gz\n").cases()
    assert [case.flair.name for case in found] == ["a.nii.gz", "annexed.nii.gz"]


@pytest.mark.parametrize("content", [b"PK\x03\x04 a spreadsheet", bytes(range(256)) * 4])
def test_what_is_no_text_is_refused(content, tmp_path):
    (tmp_path / "cases.csv").write_bytes(content)
    with pytest.raises(TableError, match=r"it is no text\. Save the spreadsheet as a CSV file"):
        CaseTable(tmp_path / "cases.csv").cases()


def test_a_file_name_in_latin_1_is_found_and_its_subject_can_be_read(tmp_path, write):
    name = b"caf\xe9.nii.gz".decode("utf-8", "surrogateescape")
    (tmp_path / name).write_bytes(b"x")
    table = write("dataset,subject,flair\n")
    table.path.write_bytes(b"dataset,subject,flair\nd,caf\xe9,caf\xe9.nii.gz\n")
    (case,) = table.cases()
    assert case.flair.exists() and case.subject == "café"


@pytest.mark.parametrize("path", ["~nobody-of-this-name/a.nii", "a" * 5000, "b.nii\x85"])
def test_a_path_that_cannot_be_is_refused_with_its_line(path, write):
    with pytest.raises(TableError, match="line 2"):
        write(f"dataset,subject,flair\nd,1,{path}\n").cases()


@pytest.mark.parametrize("nothing", ["n/a", "NA", "NaN", "None", "null", "-", "N/A"])
def test_what_programs_write_where_there_is_nothing_is_no_path(write, nothing):
    (case,) = write(f"dataset,subject,flair,t1,truth\nd,1,a.nii.gz,{nothing},{nothing}\n").cases()
    assert case.t1 is None and case.truth is None and case.flair.name == "a.nii.gz"
    with pytest.raises(TableError, match="line 2: the column 'flair' is empty"):
        write(f"dataset,subject,flair\nd,1,{nothing}\n").cases()


def test_a_file_that_is_called_like_nothing_is_one(write, tmp_path):
    (tmp_path / "na").write_bytes(b"x")
    assert write("dataset,subject,flair\nd,1,na\n").cases()[0].flair == tmp_path / "na"


def test_quotes_behind_a_space_are_quotes(write, tmp_path):
    (tmp_path / "a,b.nii.gz").write_bytes(b"x")
    assert write('dataset, subject, flair\nd, 1, "a,b.nii.gz"\n').cases()[0].flair.name == "a,b.nii.gz"


def test_a_subject_of_digits_keeps_its_zeros(write):
    cases = write("dataset,subject,flair\nd,001,a.nii.gz\nd,01,a.nii.gz\nd,1,b.nii.gz\n").cases()
    assert [case.subject for case in cases] == ["001", "01", "1"]
