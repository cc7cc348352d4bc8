"""A kind of attack: a name, a sentence, and the function that draws one.

`Needs` lists what a kind needs beyond a default server; if the needs change, the server is
restarted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from commands.abuse.attacks.draw import Draw
from commands.abuse.attacks.facts import Facts
from commands.abuse.attacks.shot import Attack, Shot

Shots = Shot | Sequence[Shot]


@dataclass(frozen=True, slots=True)
class Needs:
    """The conditions under which the harm is visible."""

    front: bool = False  # both teams send to the proxy
    settings: tuple[tuple[str, str], ...] = ()
    characters: int = 0  # of the witness's short prompt


@dataclass(frozen=True, slots=True)
class Kind:
    """One line of the table of kinds."""

    name: str
    sentence: str
    make: Callable[[Draw], Shots] = field(repr=False)
    opening: Callable[[Draw], Shot] | None = field(default=None, repr=False)
    needs: Needs = Needs()

    def attack(self, facts: Facts, seed: int, number: int, *, exact: bool = False) -> Attack:
        """Return the attack of this number: equal facts, seed and number give equal bytes."""
        dice = Random(f"{seed}/{self.name}/{number}")  # noqa: S311 - repeatable, not secret
        draw = Draw(dice, facts, exact)
        opening = self.opening(draw) if self.opening else None
        made = self.make(draw)
        shots = (made,) if isinstance(made, Shot) else tuple(made)
        return Attack(kind=self.name, shots=shots, opening=opening, seed=seed, number=number)


def with_needs(kind: Kind, **needs: object) -> Kind:
    """Return the same kind with needs."""
    return replace(kind, needs=Needs(**needs))  # type: ignore[arg-type]  # names are Needs' own
