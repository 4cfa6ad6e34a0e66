"""The Content-Security-Policy of the pages."""

#: All is ours, and nothing is in the page's text: neither a script nor a style.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
