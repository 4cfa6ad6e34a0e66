r"""What a spreadsheet would run in a CSV file, and how it is kept from that.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@`, also in full width, for a formula
(https://owasp.org/www-community/attacks/CSV_Injection). What a cell is, the reader decides: Excel
separates by the list separator of its machine's region, which is a semicolon in most of Europe, and
a file that was quoted for commas is cut anywhere by it. So an apostrophe stands before such a
character at the beginning of a text, and behind whatever might end a cell within it: a semicolon, a
tab, a bar or a line break. A comma needs none, as a text that has one is quoted, and quotation
marks and spaces between the two change nothing.
"""

import re

SEPARATORS = ";|\t\r\n"
#: Texts that begin with one of these are guarded as a whole: readers drop it, or start a cell.
BREAKS = ("\t", "\r", "\n")

SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_SIGN = f"({'|'.join(map(re.escape, SIGNS))})"
#: A formula at the beginning of a text, as Python and PostgreSQL read it, and what becomes of it.
LEADING, GUARDED = f'^([ "]*){_SIGN}', r"\1'\2"
_WITHIN = re.compile(f'([{SEPARATORS}][ "]*){_SIGN}')
_WITHIN_BYTES = re.compile(_WITHIN.pattern.encode())


def guarded(text: str) -> str:
    """Keep a spreadsheet from running a text, or a part of it."""
    safe = _WITHIN.sub(GUARDED, re.sub(LEADING, GUARDED, text))
    return f"'{safe}" if safe.startswith(BREAKS) else safe


def guarded_within(row: bytes) -> bytes:
    """Guard a row of a CSV in UTF-8 behind all that might end a cell in one of its texts."""
    return _WITHIN_BYTES.sub(GUARDED.encode(), row)
