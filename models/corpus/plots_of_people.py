"""Plots that turn on what people do: learn, hide, race, help, wonder, make friends, grow things.

Each takes a tale, tells it sentence by sentence and keeps the tale's ledger true.
"""

from models.corpus import words
from models.corpus.cast import Place
from models.corpus.forms import an, chance, pick, some
from models.corpus.openings import begin, end, present
from models.corpus.tale import Tale

SOUNDS = {
    "a tapping sound": ("a woodpecker", "a loose shutter in the wind", "rain on an old bucket"),
    "a soft humming": ("a hive of bees", "a sleepy beetle", "the wind in a bottle"),
    "a strange squeak": ("a rusty gate", "a lost kitten", "a little bat"),
    "a deep rumble": ("a snoring bear", "thunder far away", "a cart full of barrels"),
    "a quiet sobbing": ("a lost lamb", "a puppy with a thorn in its paw", "a hungry kitten"),
}
TROUBLES = (
    ("fell into a deep hole", "a rope"),
    ("got stuck in the mud", "a long stick"),
    ("could not get down from a tree", "a ladder"),
    ("was caught in a net", "a pair of scissors"),
    ("lost the way in the dark", "a lantern"),
)
SEEDS = ("sunflower", "pumpkin", "bean", "rose", "cherry tree", "apple tree", "melon", "tulip")
GAMES = ("hide and seek", "tag", "catch", "a guessing game", "leapfrog")


def learning(tale: Tale) -> None:
    """The hero learns a skill from the friend at the third try."""
    rng = tale.rng
    tale.bind(skill=pick(rng, words.SKILLS), p=tale.place())
    tale.title = "[{h} Learns Something New|{h} Tries Again|Three Tries]"
    tale.summary = "{h} learned to {skill} with the help of {f}."
    tale.moral = "[never give up|practice makes the difference|every master was a beginner once]."
    begin(tale)
    tale.say("More than anything, {h} wanted to learn to {skill}.")
    present(tale, tale.friend)
    tale.say(
        "{f} [knew how to|could] {skill} [very well|better than anyone].",
        '"[Will|Can] you teach me to {skill}?" asked {h}.',
        '"[Gladly|With pleasure|Of course]," said {f}. "Meet me {p.at} tomorrow."',
    )
    tale.pause()
    tale.say(
        "The first time, it did not go well at all.",
        "The second time was [a little|a bit] better, but {h} was [tired|ready to give up].",
        '"[Try once more|One more time|Do not give up]," said {f}.',
        "And the third time, {h} did it!",
        "[{h} laughed with joy|{h} could hardly believe it|{f} clapped and cheered].",
    )
    tale.ask("what did {h} want to learn?", "{h} wanted to learn to {skill}.", "{skill}")
    tale.ask("who taught {h}?", "{f} taught {h}.", "{f}")
    tale.ask("where did they meet?", "they met {p.at}.", "{p}")
    tale.ask("how many tries did {h} need?", "{h} needed three tries.", "three")
    end(tale)


def hide_and_seek(tale: Tale) -> None:
    """Three play; each hides somewhere and is found, one last."""
    rng = tale.rng
    spots = some(rng, words.SPOTS, 2)
    tale.bind(p=tale.place(), s=spots[0], z=spots[1], n=pick(rng, ("Ten", "Twenty", "Fifty")))
    tale.bind(n_=tale.get("n")[0].lower())
    tale.title = "[Hide and Seek|{h} Counts to {n}|The Best Hiding Place]"
    tale.summary = "{h}, {f} and {g} played hide and seek {p.at}."
    tale.moral = "[a game is more fun with friends|the best hiding place is a quiet one]."
    begin(tale)
    tale.say("{h} had two friends: {f}, {f.a}, and {g}, {g.a}.")
    tale.say(
        "[One day|One afternoon|On a sunny day], the three met {p.at} to play hide and seek.",
        "{h} closed {h.his} eyes and counted to {n_}.",
        "{f} hid {s}, and {g} hid {z}.",
        '"[Ready or not, here I come|I am coming]!" [called|cried] {h}.',
    )
    first, last = ("f", "g") if chance(rng, 0.5) else ("g", "f")
    tale.bind(i=tale.get(first)[0], j=tale.get(last)[0])
    tale.say(
        "{h.He} looked [here and there|high and low|left and right], and soon {h.he} found {i}.",
        "But {j} was [harder|much harder] to find.",
        "Then {h} heard a [sneeze|giggle|tiny cough], and there was {j}!",
        "[They all laughed|They laughed and laughed] [and played again|until the sun went down].",
    )
    tale.ask("where did {f} hide?", "{f} hid {s}.", "{s}")
    tale.ask("where did {g} hide?", "{g} hid {z}.", "{z}")
    tale.ask("who was found first?", "{i} was found first.", "{i}")
    tale.ask("who was found last?", "{j} was found last.", "{j}")
    tale.ask("where did they play?", "they played {p.at}.", "{p}")
    tale.ask("who counted to {n_}?", "{h} counted to {n_}.", "{h}")
    end(tale)


def race(tale: Tale) -> None:
    """Hero and friend race; one of them wins a thing."""
    rng = tale.rng
    tale.bind(t=tale.thing(), p=tale.place())
    tale.bind(q=tale.place())
    h, f, t = tale.hero, tale.friend, *tale.get("t")
    winner, loser = (h, f) if chance(rng, 0.5) else (f, h)
    tale.bind(w=winner, l=loser)
    tale.title = "[The Great Race|{h} and {f} Run a Race|Who Is Faster?]"
    tale.summary = "{h} and {f} ran a race, and {w} won {t.a}."
    tale.moral = "[a friend is worth more than a prize|slow and steady often wins]."
    begin(tale)
    present(tale, f)
    tale.say(
        '"I am faster than you," said {h} [one day|one morning].',
        '"[No, I am|We shall see]!" said {f}.',
        "So they agreed to run from {p} to {q}.",
        "{g}, {g.a}, [was the judge|watched the race] and [promised|offered] the winner {t.a}.",
    )
    tale.world.own(tale.helper, t)
    tale.pause()
    tale.world.give(tale.helper, winner, t)
    tale.say(
        '"Ready, set, go!" [called|shouted] {g}, and off they went.',
        "{l} [stopped to|lay down to|took time to] [pick some berries|tie a shoe|rest], "
        "but {w} [kept going|never stopped|ran on and on].",
        "[In the end|At last], {w} won the race.",
        "{g} gave {w} {t}.",
        '"[Well done|Good race], {w}," said {l}, and they shook hands.',
    )
    tale.ask("who won the race?", "{w} won the race.", "{w}")
    tale.ask("who lost the race?", "{l} lost the race.", "{l}")
    tale.ask("what did {w} win?", "{w} won {t.a}.", "{t.bare}")
    tale.ask("where did the race [begin|start]?", "the race began at {p}.", "{p}")
    tale.ask("where did the race end?", "the race ended at {q}.", "{q}")
    tale.ask("who [gave the prize|was the judge]?", "{g} did.", "{g}")
    end(tale)


def rescue(tale: Tale) -> None:
    """The friend is in trouble somewhere; the hero fetches what helps."""
    rng = tale.rng
    trouble, tool = pick(rng, TROUBLES)
    tale.bind(trouble=trouble, tool=tool, p=tale.place())
    tale.bind(q=tale.place())
    tale.title = "[{h} to the Rescue|{f} Needs Help|A Friend in Need]"
    tale.summary = "{f} {trouble} {p.at}, and {h} helped with {tool}."
    tale.moral = "[a friend in need is a friend indeed|it is brave to ask for help]."
    begin(tale)
    present(tale, tale.friend)
    tale.say(
        "[One evening|One stormy day|One day], {f} {trouble} {p.at}.",
        '"Help! [Help!|Is anybody there?]" [cried|called] {f}.',
        "{h} heard {f.him} and came [at once|running].",
        '"[Wait here|Do not worry], I will get {tool}," said {h}.',
        "{h.He} ran {q.to} and asked {g} for {tool}.",
        "Then {h.he} hurried back and used it to help {f}.",
        "[Soon|In no time|After a while], {f} was safe.",
        '"[You saved me|Thank you, thank you]!" said {f}.',
    )
    tale.ask("what happened to {f}?", "{f} {trouble} {p.at}.", "{trouble}")
    tale.ask("who helped {f}?", "{h} helped {f}.", "{h}")
    tale.ask("what did {h} use to help?", "{h} used {tool}.", "{tool}")
    tale.ask("where was {f} in trouble?", "{f} was {p.at}.", "{p}")
    tale.ask("who had {tool}?", "{g} had {tool}.", "{g}")
    tale.ask("where did {h} run to?", "{h} ran {q.to}.", "{q}")
    end(tale)


def mystery(tale: Tale) -> None:
    """A sound in the night, and what it was."""
    rng = tale.rng
    sound = pick(rng, tuple(SOUNDS))
    tale.bind(sound=sound, cause=pick(rng, SOUNDS[sound]), p=tale.place())
    tale.bind(t=tale.thing(("lantern", "lamp", "candle")))
    tale.title = "[A Sound in the Night|{h} and the Strange Sound|What Was That?]"
    tale.summary = "{h} heard {sound} {p.at}, and it was only {cause}."
    tale.moral = "[most monsters are small when you look|look before you are afraid]."
    begin(tale)
    tale.world.own(tale.hero, tale.get("t")[0])
    tale.say(
        "[One night|Late one night], {h} could not sleep, for {h.he} heard {sound}.",
        "It came from {p}.",
        "{h} [was a little afraid|felt {h.his} heart beat], but {h.he} took {h.his} {t.bare} "
        "and [went to look|went outside].",
    )
    together = chance(rng, 0.6)
    if together:
        present(tale, tale.friend)
        tale.say(
            '"Did you hear it too?" whispered {f}[|, who had come along].',
            '"Yes," said {h}. "[Let us look together|Come with me]."',
        )
    tale.pause()
    tale.say(
        "They crept closer and closer." if together else "{h} crept closer and closer.",
        "The sound grew louder.",
        "And what was it? It was only {cause}!",
        "[{h} laughed|{h} was so relieved that {h.he} laughed|{h} smiled in the dark].",
    )
    tale.ask("what did {h} hear?", "{h} heard {sound}.", "{sound}")
    tale.ask("what made the sound?", "it was only {cause}.", "{cause}")
    tale.ask("where did the sound come from?", "the sound came from {p}.", "{p}")
    tale.ask("what did {h} take along?", "{h} took {h.his} {t.bare}.", "{t.bare}")
    end(tale)


def garden(tale: Tale) -> None:
    """A seed is planted, cared for and grows."""
    rng = tale.rng
    tale.bind(seed=pick(rng, SEEDS), p=tale.place(), day=pick(rng, words.DAYS))
    tale.bind(n=pick(rng, ("two", "three", "four", "five", "six")))
    tale.bind(a_seed=an(tale.get("seed")[0]))
    tale.title = "[{h}'s Garden|The Little Seed|{h} Waits]"
    tale.summary = "{h} planted {a_seed} seed, cared for it, and it grew."
    tale.moral = "[good things take time|a little care every day goes a long way]."
    begin(tale)
    present(tale, tale.friend)
    tale.say(
        "On {day}, {f} gave {h} a tiny {seed} seed.",
        "{h} planted it {p.at} and watered it [every day|every morning|every evening].",
        "For {n} weeks, nothing [happened|grew], and {h} [grew worried|began to doubt].",
        '"[Be patient|Wait a little longer]," said {f}.',
        "Then, [one morning|after a warm rain], a small green leaf [looked out|came up].",
        "[It grew and grew|Day by day it grew taller], and by [summer|autumn] {h} had the "
        "[finest|most beautiful|biggest] {seed} in the [village|valley|land].",
    )
    tale.ask("what did {f} give {h}?", "{f} gave {h} {a_seed} seed.", "{seed}")
    tale.ask("where did {h} plant the seed?", "{h} planted the seed {p.at}.", "{p}")
    tale.ask("how long did nothing grow?", "nothing grew for {n} weeks.", "{n} weeks")
    tale.ask("when did {h} get the seed?", "{h} got the seed on {day}.", "{day}")
    end(tale)


def new_neighbor(tale: Tale) -> None:
    """Somebody new comes; the hero makes the first step with a small gift of food."""
    rng = tale.rng
    tale.bind(game=pick(rng, GAMES), p=tale.place(), month=pick(rng, words.MONTHS))
    tale.title = "[The New Neighbor|{h} Makes a Friend|Hello, {f}!]"
    tale.summary = "{f} was new, and {h} became {f.his} friend."
    tale.moral = "[a kind word opens every door|somebody has to say hello first]."
    begin(tale)
    tale.say("In {month}, somebody new came to [the village|live nearby].")
    present(tale, tale.friend)
    tale.say(
        "{f} knew nobody and felt [lonely|very lonely|shy].",
        "{h} saw {f.him} sitting alone {p.at}.",
        '"Hello, I am {h}," said {h}. "[Would you like|Do you want] some {h.treats}?"',
        '"[Yes, please|Oh, yes]," said {f} [quietly|and smiled a little].',
        "They ate together, and then they played {game} until [dark|supper|the stars came out].",
        '"[Will you come again tomorrow|Shall we play again tomorrow]?" asked {f}.',
        '"[Of course|Every day]!" said {h}.',
    )
    if "lonely" in tale.text:
        tale.ask("how did {f} feel at first?", "{f} felt lonely.", "lonely")
    tale.ask("what did {h} offer {f}?", "{h} offered {f} some {h.treats}.", "{h.treats}")
    tale.ask("where did {h} meet {f}?", "{h} met {f} {p.at}.", "{p}")
    tale.ask("what did they play?", "they played {game}.", "{game}")
    tale.ask("when did {f} come?", "{f} came in {month}.", "{month}")
    end(tale)


def journey(tale: Tale) -> None:
    """From place to place, meeting one at each, to bring something to the last."""
    rng = tale.rng
    tale.bind(t=tale.thing(), p=tale.place())
    tale.bind(q=tale.place())
    tale.bind(r=tale.place())
    h, _f, g, t, p, q, r = tale.hero, tale.friend, tale.helper, *tale.get("t", "p", "q", "r")
    tale.title = "[{h}'s Long Walk|The Way to {g}|{h} Brings the {t.title}]"
    tale.summary = "{h} carried {t.a} all the way to {g} {r.at}."
    tale.moral = "[a long way is made of small steps|keep your promises]."
    begin(tale)
    tale.world.own(h, t)
    tale.say(
        "{h} had promised to bring {t.a} to {g}, {g.a} who lived far away.",
        "Early [one day|in the morning|on {day}], {h} [set off|set out].",
        day=pick(rng, words.DAYS),
    )
    tale.world.move(h, p)
    tale.say(_stop(tale, p))
    tale.say("There {h} met {f}, {f.a}, who [showed|told] {h.him} the way.")
    tale.world.move(h, q)
    tale.say(_stop(tale, q))
    tale.pause()
    tale.world.move(h, r)
    tale.world.give(h, g, t)
    tale.say(
        "[At last|In the evening|When the moon rose], {h} came {r.to}, and there was {g}.",
        '"[You came all this way|I knew you would come]!" said {g}.',
        "{h} gave {g} {t}, and they drank [hot tea|warm milk|cool water] together.",
    )
    tale.ask("who showed {h} the way?", "{f} showed {h} the way.", "{f}")
    tale.ask("where did {h} meet {f}?", "{h} met {f} {p.at}.", "{p}")
    tale.ask("where was {g}?", "{g} was {r.at}.", "{r}")
    tale.ask("what did {h} bring {g}?", "{h} brought {g} {t.a}.", "{t.bare}")
    tale.ask("where is {h} at the end?", "{h} is {r.at}.", "{r}")
    end(tale)


def _stop(tale: Tale, stop: Place) -> str:
    return tale.line(
        "[After a while|Soon|Then] {h.he} [came|walked|wandered] {x.to}, where "
        "[the wind was strong|it smelled of flowers|a fish jumped|{h.he} rested a little|"
        "{h.he} ate some {h.treats}|a bird was singing].",
        x=stop,
    )


PLOTS = (learning, hide_and_seek, race, rescue, mystery, garden, new_neighbor, journey)
