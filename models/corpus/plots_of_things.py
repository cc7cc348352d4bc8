"""Plots that turn on a thing: lost and found, given, traded, borrowed, mended, looked for.

Each takes a tale, tells it sentence by sentence and keeps the tale's ledger true.
"""

from models.corpus import words
from models.corpus.forms import chance, counted, number, pick, some
from models.corpus.openings import begin, end, present
from models.corpus.tale import Tale


def lost_and_found(tale: Tale) -> None:
    """The hero loses a thing in one place; the friend knows where it lies."""
    rng = tale.rng
    tale.bind(t=tale.thing())
    tale.bind(p=tale.place())
    tale.bind(q=tale.place(), s=pick(rng, words.SPOTS))
    h, f, t, p = tale.hero, tale.friend, *tale.get("t", "p")
    tale.title = "[{h} and the Lost {t.title}|The Lost {t.title}|Where Is the {t.title}?]"
    tale.summary = "{h} lost {h.his} {t.bare} {p.at}, and {f} found it {s}."
    tale.moral = "[a good friend helps you look|two pairs of eyes see more than one]."
    begin(tale)
    tale.world.own(h, t)
    tale.say(
        "{h} had {t.a} and [took it everywhere|loved it very much|carried it wherever {h.he} "
        "went].",
        "[One day|One morning|One afternoon], {h} went {p.to} to [play|rest|look at the clouds].",
    )
    tale.world.drop(h, t, p)
    tale.say(
        "[On the way home|That evening|A little later], {h} [saw|noticed] that {t} was gone.",
        "[{h.He} felt very sad|{h.He} began to cry|{h} was so sad that {h.he} could not eat].",
    )
    tale.ask(
        "why was {h} sad?",
        "{h} was sad because {h.he} had lost {h.his} {t.bare}.",
        "{t.bare}",
    )
    tale.pause()
    present(tale, f)
    tale.say(
        '"[What is wrong|Why are you so sad|What happened], {h}?" asked {f}.',
        '"I [lost|cannot find] my {t.bare}," said {h}. "[Will|Can] you help me look for it?"',
        '"Of course," said {f}.',
        "First they looked {q.at}, but it was not there.",
        "Then they went back {p.to}, and {f} looked {s}.",
        "There [it was|lay {t}]!",
    )
    tale.ask("where did {h} lose the {t.noun}?", "{h} lost the {t.noun} {p.at}.", "{p}")
    tale.ask("where did they look first?", "First they looked {q.at}.", "{q}")
    tale.ask("where did {f} find the {t.noun}?", "{f} found the {t.noun} {s}.", "{s}")
    tale.ask("who found the {t.noun}?", "{f} found the {t.noun}.", "{f}")
    tale.world.take(f, t, p)
    tale.world.give(f, h, t)
    tale.say(
        "{f} gave {t} [back to|to] {h}.",
        '"Thank you, {f}!" said {h}[| and gave {f.him} a big hug| with a bright smile].',
    )
    end(tale)


def birthday_gift(tale: Tale) -> None:
    """The hero looks for a gift, buys or makes one, and gives it to the friend."""
    rng = tale.rng
    tale.bind(t=tale.thing())
    tale.bind(p=tale.place(), day=pick(rng, words.DAYS), age=number(rng, 5, 12))
    h, f, g, t = tale.hero, tale.friend, tale.helper, *tale.get("t")
    tale.title = "[A Gift for {f}|{f}'s Birthday|The {t.title}]"
    tale.summary = "{h} got {t.a} from {g} and gave it to {f} for {f.his} birthday."
    tale.moral = "[it is good to give|the best gift comes from the heart]."
    begin(tale)
    present(tale, f)
    tale.say(
        "[On {day}|Next {day}] it would be {f}'s birthday, and {h} wanted to give {f.him} "
        "[something special|a fine gift].",
        "So {h} went {p.to}, where {g} [sold all kinds of things|had a little shop].",
        '"[Good morning|Hello|Good day], {g}," said {h}. "I need a gift for {f}."',
        '"[How about|Would {f.he} like|What about] {t.a}?" asked {g}.',
        '"[That is perfect|{f} will love it|That is just right]!" said {h}.',
    )
    tale.world.own(g, t)
    tale.world.give(g, h, t)
    tale.say("{h} [paid|gave {g}] [two|three|four|five] coins and [took|carried] {t} home.")
    tale.pause()
    tale.world.give(h, f, t)
    tale.say(
        "On {day}, {h} gave {t} to {f}.",
        "{f} [jumped for joy|laughed and clapped|was so happy that {f.he} danced].",
        '"[This is the best {t.noun} in the world|I have always wanted {t.a}]!" said {f}.',
    )
    tale.ask("what did {h} give {f}?", "{h} gave {f} {t.a}.", "{t.bare}")
    tale.ask("who gave {f} the {t.noun}?", "{h} gave {f} the {t.noun}.", "{h}")
    tale.ask("when was {f}'s birthday?", "{f}'s birthday was on {day}.", "{day}")
    tale.ask("where did {h} get the {t.noun}?", "{h} got the {t.noun} {p.at}.", "{p}")
    tale.ask("who sold the {t.noun}?", "{g} sold the {t.noun}.", "{g}")
    end(tale)


def trade(tale: Tale) -> None:
    """The hero trades one thing for another, and that one for a third."""
    for name in "tuv":
        tale.bind(**{name: tale.thing()})
    tale.bind(p=tale.place())
    tale.bind(q=tale.place())
    h, f, g, t, u, v = tale.hero, tale.friend, tale.helper, *tale.get("t", "u", "v")
    tale.title = "[{h} Goes Trading|The {t.title} and the {v.title}|{h} and the {v.title}]"
    tale.summary = "{h} traded {t.a} for {u.a}, and {u} for {v.a}."
    tale.moral = "[what one has too much of, another may need|a fair trade makes two people glad]."
    begin(tale)
    tale.world.own(h, t)
    tale.world.own(f, u)
    tale.world.own(g, v)
    tale.say(
        "{h} had {t.a}, but [what {h.he} really wanted was|{h.he} wished for|{h.he} dreamed "
        "of] {v.a}.",
        "[One day|One morning], {h} took {t} and walked {p.to}.",
        "There {h.he} met {f}, {f.a}, who had {u.a}.",
    )
    tale.world.give(h, f, t)
    tale.world.give(f, h, u)
    tale.say(
        '"[I like your {t.noun}|What a fine {t.noun}]," said {f}. "Will you trade it for my '
        '{u.noun}?"',
        '"[Gladly|Yes, please|Why not]," said {h}, and they traded.',
    )
    tale.pause()
    tale.world.give(h, g, u)
    tale.world.give(g, h, v)
    tale.say(
        "Then {h} [went|walked|wandered] {q.to} and met {g}, {g.a}.",
        "{g} had {v.a} [but needed {u.a}|and was looking for {u.a}].",
        '"[Let us trade|Shall we trade]," said {h}, and {g} [nodded|agreed|was glad].',
        "So {h} got {v} [at last|in the end].",
    )
    tale.ask("what did {h} want?", "{h} wanted {v.a}.", "{v.bare}")
    tale.ask("who did {h} meet {p.at}?", "{h} met {f} {p.at}.", "{f}")
    tale.ask("who did {h} meet {q.at}?", "{h} met {g} {q.at}.", "{g}")
    tale.ask("what did {f} trade for the {t.noun}?", "{f} traded {u.a} for it.", "{u.bare}")
    end(tale)


def borrowed(tale: Tale) -> None:
    """The friend borrows a thing, breaks it and owns up."""
    rng = tale.rng
    tale.bind(t=tale.thing(("kite", "lamp", "clock", "violin", "wagon", "teapot", "chair", "boat")))
    tale.bind(p=tale.place())
    tale.bind(with_=pick(rng, ("a bit of glue", "some string", "a small nail", "a drop of paint")))
    h, f, t = tale.hero, tale.friend, *tale.get("t")
    tale.title = "[The Broken {t.title}|{f} Tells the Truth|{h}'s {t.title}]"
    tale.summary = "{f} broke {h}'s {t.bare}, told the truth, and they mended it together."
    tale.moral = "[it is best to tell the truth|nearly everything can be mended]."
    begin(tale)
    tale.world.own(h, t)
    tale.say("{h} owned {t.a}, and {h.he} [was proud of it|kept it very clean].")
    present(tale, f)
    tale.world.give(h, f, t)
    tale.say(
        '"May I borrow your {t.noun}?" asked {f} [one day|one morning].',
        '"[Yes|Of course], but be careful," said {h}.',
        "{f} took {t} {p.to}. [But|Then] {f.he} stumbled, and the {t.noun} [broke|fell and broke].",
        "{f} was [worried|afraid]. [What would {h} say?|{f.He} wanted to hide.]",
    )
    tale.pause()
    tale.world.give(f, h, t)
    tale.say(
        "But {f} [went straight to {h}|took a deep breath, went to {h}] and told the truth.",
        '"I broke your {t.noun}. I am [so|very] sorry," {f.he} said.',
        '{h} was quiet for a moment. "[Thank you for telling me|I am glad you told me]," '
        "{h.he} said.",
        "Together they mended the {t.noun} with {with_}, and it was as good as new.",
    )
    tale.ask("who broke the {t.noun}?", "{f} broke the {t.noun}.", "{f}")
    tale.ask("where did the {t.noun} break?", "it broke {p.at}.", "{p}")
    tale.ask("what did {f} borrow?", "{f} borrowed {t}.", "{t.bare}")
    tale.ask("what did they mend it with?", "they mended it with {with_}.", "{with_}")
    end(tale)


def treasure(tale: Tale) -> None:
    """A map leads the hero and the friend from place to place, to a thing in a box."""
    rng = tale.rng
    tale.bind(
        t=tale.thing(("crown", "coin", "ring", "bell", "lantern", "flute", "necklace", "key"))
    )
    for name in "pqr":
        tale.bind(**{name: tale.place()})
    tale.bind(s=pick(rng, words.SPOTS))
    h, f, t, _p, _q, _r = tale.hero, tale.friend, *tale.get("t", "p", "q", "r")
    tale.title = "[The Secret Map|{h} and the Treasure|The {t.title}]"
    tale.summary = "{h} and {f} followed a map and found {t.a} {r.at}."
    tale.moral = "[an adventure is better with a friend|the search is half the fun]."
    begin(tale)
    tale.say(
        "[One day|One rainy day|One evening], {h} found an old map {p.at}.",
        '"A treasure map!" {h.he} [cried|whispered|said], and [ran|hurried] to [show|tell] {f}.',
    )
    present(tale, f)
    tale.say(
        "The map led them first {q.to}, where they [had to cross a small stream|met a sleepy "
        "old dog|"
        "ate a bit of {h.treats}].",
        "Then it led them {r.to}.",
        "{s}, they [found|saw] a [rusty|wooden|dusty] box.",
        "{h} opened it [slowly|with both hands], and inside was {t.a}!",
    )
    finder = h if chance(rng, 0.5) else f
    tale.bind(k=finder, o=f if finder is h else h)
    tale.world.own(finder, t)
    tale.say(
        '"You [keep|take] it," said {o}, and so {k} took {t} home.',
    )
    tale.ask("where did {h} find the map?", "{h} found the map {p.at}.", "{p}")
    tale.ask("where was the treasure?", "the treasure was {r.at}.", "{r}")
    tale.ask("what was in the box?", "in the box was {t.a}.", "{t.bare}")
    tale.ask("where did the map lead them first?", "first it led them {q.to}.", "{q}")
    end(tale)


def shared_meal(tale: Tale) -> None:
    """Three bring something each, and it becomes a meal."""
    rng = tale.rng
    things = some(rng, words.VEGETABLES, 3)
    tale.bind(a=things[0], b=things[1], c=things[2], p=tale.place())
    tale.bind(n=number(rng, 2, 9), m=number(rng, 2, 9))
    f, _g = tale.friend, tale.helper
    tale.title = "[The Best Soup|Soup for Three|{h} Makes Soup]"
    tale.summary = "{h}, {f} and {g} made soup together."
    tale.moral = "[what is shared tastes best|many hands make a full pot]."
    begin(tale)
    tale.say(
        "[One cold day|One evening|One windy night], {h} was hungry, but {h.he} had only one {a}.",
        '"One {a} does not make a soup," {h.he} [sighed|said].',
        "Just then, [there was a knock at the door|somebody knocked].",
    )
    tale.pause()
    present(tale, f)
    tale.say(
        '"[I am hungry too|May I come in]," said {f}. "I have only {n_b}."',
        "Then {g}, {g.a}, came [by|along] and brought {m_c}.",
        "They put everything into a big pot and [stirred|waited|sang a song].",
        "[Soon|Before long], the [whole house|kitchen] smelled wonderful.",
        "They ate together until [the pot was empty|they were full].",
        n_b=_counted(tale, "n", "b"),
        m_c=_counted(tale, "m", "c"),
    )
    tale.ask("what did {f} bring?", "{f} brought {x}.", "{x}", x=_counted(tale, "n", "b"))
    tale.ask("what did {g} bring?", "{g} brought {x}.", "{x}", x=_counted(tale, "m", "c"))
    tale.ask("what did {h} have at first?", "{h} had only one {a}.", "one {a}")
    tale.ask("who came first, {f} or {g}?", "{f} came first.", "{f}")
    tale.ask("what did they make?", "they made soup.", "soup")
    end(tale)


def _counted(tale: Tale, count: str, noun: str) -> str:
    n, what = tale.get(count, noun)
    return counted(n, what)


PLOTS = (lost_and_found, birthday_gift, trade, borrowed, treasure, shared_meal)
