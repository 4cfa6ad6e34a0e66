"""A payload's way from the caller to the handler and back: encrypted, upgraded, validated, hidden.

`sealing` encrypts fields, `masking` and `redaction` keep them out of views and logs. Only `loading`
reads a row; nothing here writes one.
"""
