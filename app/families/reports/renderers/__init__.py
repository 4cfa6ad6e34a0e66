"""The formats: one module each, with a function `render` from a `Report` to bytes.

`formats` lists them; `pages` and `charts` are shared by PDF and HTML, `formatting` by all.
"""
