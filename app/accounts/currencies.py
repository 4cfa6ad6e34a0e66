"""Currencies: what their amounts mean and how they are written. The one table of them.

Amounts are integers in the unit in which Stripe gives them (https://docs.stripe.com/currencies):
mostly a hundredth, also of ISK and UGX, which have no smaller coin, and of HUF and TWD.
"""

from decimal import Decimal

_WHOLE = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()  # noqa: SIM905 - a table
)
_THOUSANDTHS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
_SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "inr": "₹", "krw": "₩", "brl": "R$"}
_SPACE = "\u00a0"


def decimals(currency: str) -> int:
    """Return how many decimals of the currency its amounts have."""
    code = currency.lower()
    return 0 if code in _WHOLE else 3 if code in _THOUSANDTHS else 2


def symbol(currency: str) -> str:
    """Return what stands before a figure: `$`, or the code with a space that does not break."""
    code = currency.lower()
    return _SYMBOLS.get(code, f"{code.upper()}{_SPACE}")


def major(amount: int, currency: str) -> Decimal:
    """Return an amount in the currency itself, exactly: 4900, usd is 49.00."""
    places = decimals(currency)
    # Not scaleb, which rounds to the context's 28 digits.
    return Decimal((int(amount < 0), tuple(map(int, str(abs(amount)))), -places))


def written(amount: int, currency: str, *, minus: str = "-") -> str:
    """Write an amount for people: 4900, usd is `$49.00`."""
    units = major(abs(amount), currency)
    return f"{minus if amount < 0 else ''}{symbol(currency)}{units:,f}"
