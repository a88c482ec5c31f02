"""Origins: which web pages may open a websocket here. Browsers let any page try, and tell from where it came."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_welcome(origin: str | None, host: str | None, others: str) -> bool:
    """May a page from this origin open a websocket on this host? Programs name no origin and always may.

    `others`: names of further hosts whose pages may, with commas between; `*` for all.
    """
    if origin is None or others.strip() == "*":
        return True
    theirs, ours = _host_of(origin), _host_of(f"//{host or ''}")
    if theirs is None:
        return False
    return theirs == ours or theirs in {name.strip() for name in others.split(",")} or _are_here(theirs, ours)


def _are_here(first: str, second: str | None) -> bool:
    """Are both names of this very machine, as localhost and 127.0.0.1 are?"""
    return _is_loopback(first) and second is not None and _is_loopback(second)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _host_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
