"""Currencies: what their amounts mean and how they are written.

Amounts are integers in Stripe's unit (https://docs.stripe.com/currencies): mostly a hundredth, even
of ISK and UGX, which have no smaller coin, and of HUF and TWD.
"""

from decimal import Decimal

_WHOLE = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()  # noqa: SIM905 - a table
)
_THOUSANDTHS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
_SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "inr": "₹", "krw": "₩", "brl": "R$"}
_SPACE = "\u00a0"


def decimals(currency: str) -> int:
    """Return the number of decimals of the currency's amounts."""
    code = currency.lower()
    return 0 if code in _WHOLE else 3 if code in _THOUSANDTHS else 2


def symbol(currency: str) -> str:
    """Return the prefix of a figure: `$`, or the code with a non-breaking space."""
    code = currency.lower()
    return _SYMBOLS.get(code, f"{code.upper()}{_SPACE}")


def major(amount: int, currency: str) -> Decimal:
    """Return the exact amount in the currency itself: 4900, usd is 49.00."""
    places = decimals(currency)
    # Not scaleb, which rounds to the context's 28 digits.
    return Decimal((int(amount < 0), tuple(map(int, str(abs(amount)))), -places))


def written(amount: int, currency: str, *, minus: str = "-") -> str:
    """Format an amount for people: 4900, usd is `$49.00`."""
    units = major(abs(amount), currency)
    return f"{minus if amount < 0 else ''}{symbol(currency)}{units:,f}"
