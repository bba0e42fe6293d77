"""An exception in words."""

__all__ = ["said"]


def said(error: BaseException) -> str:
    """Its type and message, also where the message cannot be had.

    >>> said(ValueError("no such thing"))
    'ValueError: no such thing'
    """
    try:
        return f"{type(error).__name__}: {error}"
    except Exception as why:
        return f"{type(error).__name__} (asked for its message, it raised {type(why).__name__})"
