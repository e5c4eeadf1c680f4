"""Models that depart from a base in a key or two, for tables of ablations and sweeps: in which."""

from skyloom import checkpoint


def changes(entry: dict, base: dict) -> str:
    """The keys in which an entry differs from the base, as "key base -> entry"; empty for the base
    itself.
    """
    found = checkpoint.differences(base, entry, "")
    return "; ".join(
        f"{key.removeprefix('.')} {_plain(old)} -> {_plain(new)}" for key, old, new in found
    )


def _plain(value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
