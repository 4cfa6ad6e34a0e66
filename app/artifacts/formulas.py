r"""Guard CSV files against formula injection.

A spreadsheet takes a cell that starts with `=`, `+`, `-` or `@`, also in full width, for a formula
(https://owasp.org/www-community/attacks/CSV_Injection). Where a cell starts depends on the reader:
Excel splits by the list separator of its machine's region, a semicolon in most of Europe, which may
split a file that was quoted for commas anywhere. So an apostrophe is put before such a character at
the start of a text, and after anything within it that might end a cell: a semicolon, a tab, a bar
or a line break. A comma needs none, because a text with one is quoted. Quotation marks and spaces
between the two make no difference.
"""

import re

SEPARATORS = ";|\t\r\n"
#: Texts that start with one of these are guarded as a whole: readers drop it, or start a cell.
BREAKS = ("\t", "\r", "\n")

SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_SIGN = f"({'|'.join(map(re.escape, SIGNS))})"
#: A formula at the start of a text, for Python and PostgreSQL, and its replacement.
LEADING, GUARDED = f'^([ "]*){_SIGN}', r"\1'\2"
_WITHIN = re.compile(f'([{SEPARATORS}][ "]*){_SIGN}')
_WITHIN_BYTES = re.compile(_WITHIN.pattern.encode())


def guarded(text: str) -> str:
    """Keep a spreadsheet from executing a text, or a part of it."""
    safe = _WITHIN.sub(GUARDED, re.sub(LEADING, GUARDED, text))
    return f"'{safe}" if safe.startswith(BREAKS) else safe


def guarded_within(row: bytes) -> bytes:
    """Guard a CSV row in UTF-8 after anything that might end a cell in one of its texts."""
    return _WITHIN_BYTES.sub(GUARDED.encode(), row)
