"""Amounts, counts, distances and ages as people write them."""


def usd(amount: float) -> str:
    """`$1.23M`, `-$31.4k`; three significant figures."""
    if amount < 0:
        return f"-{usd(-amount)}"
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(amount) >= size * 0.9995:
            return (
                f"${amount / size:.3g}{unit}" if abs(amount) < 999.5 * size else f"${amount / size:.0f}{unit}"
            )
    return f"${amount:.0f}"


def price(px: float) -> str:
    """Six significant figures, thousands separated."""
    if px >= 999_999.5:
        return f"{px:,.0f}"
    return f"{px:,.6g}" if px >= 1e-3 else f"{px:.10f}".rstrip("0")


def percent(share: float | None, digits: int = 1) -> str:
    """A share as percent; `unknown` for null."""
    return "unknown" if share is None else f"{100 * share:.{digits}f} %"


def age(seconds: float | None) -> str:
    """`42 s`, `12 min`, `3.5 h`, `2.1 d`."""
    if seconds is None:
        return "unknown"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 3570:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 86_220 else f"{seconds / 86_400:.1f} d"


def hours(seconds: float) -> str:
    """`5.5 h`, from three days on `4.0 days`."""
    length_h = seconds / 3600
    return f"{length_h:.1f} h" if length_h < 72 else f"{length_h / 24:.1f} days"


def counted(number: int, noun: str) -> str:
    """`1 reading`, `1,590 readings`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
