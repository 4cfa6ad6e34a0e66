import pytest

from app.artifacts.formulas import guarded


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("-2", "'-2"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("  =1", "  '=1"),
        ('"=1"', '"\'=1"'),
        ("x;=1+1", "x;'=1+1"),
        ('x; "@SUM(A1)', "x; \"'@SUM(A1)"),
        ("x\t+1", "x\t'+1"),
        ("x|-1", "x|'-1"),
        ("first\r\n=1", "first\r\n'=1"),
        ("a;=1;=2", "a;'=1;'=2"),
        ("\ttab", "'\ttab"),
        ("ann@example.com", "ann@example.com"),
        ("1 - 2; 3 + 4 = 7", "1 - 2; 3 + 4 = 7"),
        ("price, -5", "price, -5"),
        ('["a", -1]', '["a", -1]'),
        ("", ""),
    ],
)
def test_fault_K11_an_apostrophe_stands_before_what_a_spreadsheet_would_run(
    text: str, safe: str
) -> None:
    assert guarded(text) == safe
    assert guarded(safe) in {safe, f"'{safe}"}
