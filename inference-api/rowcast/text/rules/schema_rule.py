"""JSON schemas as rules, depending on `strict`.

A schema that a grammar can follow stays as it is. Otherwise the keywords at fault are left out and
named in the rule, or, if the schema is strict, the request is refused with their names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rowcast.text.rules.grammar import GrammarFault, of_json_schema
from rowcast.text.rules.schema_refs import check_references
from rowcast.text.rules.schema_subset import COUNTED, PATTERNED, Subset
from rowcast.text.rules.schema_tree import Schema, check_depth

_NAMED = 20  # the maximum that an error lists
_REASONS = {"min/maxProperties": COUNTED, "are not disjoint": PATTERNED}


@dataclass(frozen=True, slots=True)
class Rule:
    """The grammar of a reply, and the requested keywords that it does not enforce."""

    grammar: str = ""  # "": any text
    unenforced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One of the schemas of a rule."""

    schema: Schema
    strict: bool = False
    name: str = ""  # the owner's name, if there are several


def rule_of_schema(schema: Schema, *, strict: bool = False) -> Rule:
    """Return the rule for JSON that follows this schema."""
    return rule_of_parts([Part(schema, strict)], lambda schemas: of_json_schema(schemas[0]))


def rule_of_parts(parts: Sequence[Part], make: Callable[[Sequence[Schema]], str]) -> Rule:
    """Return a rule whose grammar `make` builds from several schemas. Raises GrammarFault."""
    for part in parts:
        check_depth(part.schema)
    try:
        return Rule(make([part.schema for part in parts]))
    except GrammarFault as fault:
        for part in parts:
            check_references(part.schema)
        return _loosened(parts, make, fault)


def _loosened(
    parts: Sequence[Part], make: Callable[[Sequence[Schema]], str], fault: GrammarFault
) -> Rule:
    """Return a rule with the keywords that can be kept.

    The library reports some faults without their place.
    """
    without = _reasons(fault)
    tried = [part.schema for part in parts]
    while True:
        subsets = [Subset.of(part.schema, without) for part in parts]
        schemas = [subset.schema for subset in subsets]
        if schemas == tried:
            raise fault
        try:
            grammar = make(schemas)
        except GrammarFault as another:
            tried, fault = schemas, another
            without |= _reasons(another)
            continue
        return Rule(grammar, tuple(_unenforced_of(parts, subsets)))


def _reasons(fault: GrammarFault) -> frozenset[str]:
    """Return the keywords that may have caused a fault."""
    found = (names for sign, names in _REASONS.items() if sign in str(fault))
    return frozenset().union(*found)


def _unenforced_of(parts: Sequence[Part], subsets: Sequence[Subset]) -> list[str]:
    """Return what is not enforced. Raises GrammarFault if a strict part has any of it."""
    unenforced: list[str] = []
    for part, subset in zip(parts, subsets, strict=True):
        if part.strict and subset.unenforced:
            named = "; ".join(subset.unenforced[:_NAMED])
            more = len(subset.unenforced) - _NAMED
            raise GrammarFault(
                f"{named}{f' and {more} more' if more > 0 else ''} cannot be enforced: leave it "
                "out, or do not send strict: true"
            )
        unenforced += [
            f"{each} of {part.name}" if part.name else each for each in subset.unenforced
        ]
    return unenforced
