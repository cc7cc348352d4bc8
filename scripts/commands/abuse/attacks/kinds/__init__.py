"""The kinds of attack: a few files, each registered by one line here."""

from __future__ import annotations

from commands.abuse.attacks.kind import Kind
from commands.abuse.attacks.kinds import chats, links, replies, rules, tokens

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kinds in (
        rules.KINDS,
        tokens.KINDS,
        replies.KINDS,
        chats.KINDS,
        links.KINDS,
    )
    for kind in kinds
}
