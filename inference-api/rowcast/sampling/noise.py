"""Noise by counter: a uniform number is a function of (seed, choice, position, lane), nothing else.

    (seed, choice) ──▶ stream ──▶ at(position) ──▶ uniform(lane) in [0, 1), 53 bits

Pure integer arithmetic on 64 bits, so the numbers are equal on every machine and in every process,
in any order and on every call. A position may need several numbers: its lanes. There is no
generator and no state.
"""

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio, odd: multiples visit every number
_UNIT = 2.0**-53


def stream(seed: int, choice: int) -> int:
    """Return where the numbers of one reply begin."""
    return _mixed(_mixed(seed + _STEP) + (choice + 1) * _STEP)


def at(stream_key: int, position: int) -> int:
    """Return where the numbers of one token of a reply begin."""
    return _mixed(stream_key + (position + 1) * _STEP)


def uniform(position_key: int, lane: int) -> float:
    """Return number `lane` of a position."""
    return (_mixed(position_key + (lane + 1) * _STEP) >> 11) * _UNIT


def _mixed(value: int) -> int:
    """Apply SplitMix64's finisher: a bijection; every input bit changes every output bit."""
    value &= _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
