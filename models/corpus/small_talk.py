"""Small talk: greetings, who is speaking, thanks, jokes, riddles, comfort; and remembering a guest.

Each function gives turns: what the guest says, what is answered.
"""

from random import Random

from models.corpus import cast, words
from models.corpus.forms import an, cap, number, pick, plural, spin

Turn = tuple[str, str]

GREETINGS: tuple[tuple[str, str], ...] = (
    (
        "[Hello|Hi|Hey|Good morning|Good evening|Hello there][!|.|]",
        (
            "[Hello!|Hi!|Hello there!] [How can I help you?|What shall we talk about?|Would you "
            "like a story?]"
        ),
    ),
    (
        "[How are you|How are you today|How do you do|Are you well]?",
        "[I am well, thank you|I am fine, thank you|Very well, thank you]. [And you|How are you]?",
    ),
)
ABOUT: tuple[tuple[str, str], ...] = (
    (
        "[Who are you?|What are you?|Tell me about yourself.|Introduce yourself.]",
        (
            "I am [the storyteller|the Rowcast storyteller], a small language model. "
            "[I tell stories and answer questions about them|I like stories, and I answer simple "
            "questions]."
        ),
    ),
    ("What is your name?", "[My name is Storyteller|People call me the storyteller]."),
    (
        "[What can you do|What do you know|How can you help me|What are you good at]?",
        (
            "I can tell stories, answer questions about a text, do small sums, make lists and "
            "write little JSON objects."
        ),
    ),
    (
        "Are you [a person|human|a robot|real]?",
        "No, I am a small language model. [But I like good stories|I am made of numbers].",
    ),
    ("How old are you?", "I am [very young|quite new]. I do not count my years."),
    ("Where do you live?", "I live in a small file on your computer."),
    (
        "[Do you know everything|Are you clever|Are you smart]?",
        (
            "[No, I know very little|I am small, and I make mistakes]. [But I am happy to try|I do "
            "my best]."
        ),
    ),
    (
        "[What is the weather like|How is the weather today]?",
        (
            "I cannot see the sky from here. [What does it look like to you?|Please look out of "
            "the window.]"
        ),
    ),
    (
        "[What time is it|What day is it today]?",
        "I do not have a clock, so I do not know. [I am sorry|Sorry].",
    ),
    (
        (
            "[Who is the president?|What is the capital of France?|What is the news?|Explain "
            "physics to me.]"
        ),
        (
            "I am sorry, I do not know that. I only know [little stories and simple things|a small "
            "world]."
        ),
    ),
)
ENDINGS: tuple[tuple[str, str], ...] = (
    (
        "[Thank you|Thanks|Thank you very much|Thanks a lot][!|.|]",
        "[You are welcome|With pleasure|It was my pleasure|Any time]!",
    ),
    (
        "[Goodbye|Bye|See you|Good night|I have to go now][!|.|]",
        (
            "[Goodbye|See you soon|Take care|Sleep well]! [Come back soon.|It was nice to talk "
            "with you.]"
        ),
    ),
    (
        "[That was nice|I liked that|Great|Well done][!|.]",
        ("[I am glad|That makes me happy|Thank you]!"),
    ),
)
JOKES = (
    "Why did the hen cross the road? To get to the other side.",
    "What do you call a sleeping bull? A bulldozer.",
    "Why do bees hum? Because they do not know the words.",
    "What has hands but cannot clap? A clock.",
    "Why was the broom late? It swept in.",
    "What is black and white and read all over? A book.",
    "Why did the cookie go to the doctor? It felt crumbly.",
    "What did one wall say to the other? Let us meet at the corner.",
)
RIDDLES = (
    ("I have a neck but no head. What am I?", "a bottle"),
    ("I have teeth but cannot bite. What am I?", "a comb"),
    ("The more you take away, the bigger I get. What am I?", "a hole"),
    ("I go up and down but never move. What am I?", "a staircase"),
    ("I have keys but open no doors. What am I?", "a piano"),
    ("I get wet while I dry. What am I?", "a towel"),
)
COMFORT = {
    "sad": "I am sorry that you are sad. [Would a story help?|Do you want to tell me why?]",
    "tired": "Then rest a little. [A short nap can do wonders|I can tell you a quiet story].",
    "happy": "That is good to hear! [What made you happy?|Joy is best when shared.]",
    "bored": "Then let me tell you a story, or ask me a riddle!",
    "worried": "[I am sorry to hear that|Take a deep breath]. Most worries grow smaller when told.",
    "lonely": "I am here with you. [Shall I tell you a story?|We can talk as long as you like.]",
    "proud": "[Well done|You can be]! [Tell me more.|What did you do?]",
    "hungry": "Then it is time for a snack! How about [some soup|an apple|some bread]?",
}


def greeting(rng: Random) -> Turn:
    return _said(rng, pick(rng, GREETINGS))


def about(rng: Random) -> Turn:
    return _said(rng, pick(rng, ABOUT))


def ending(rng: Random) -> Turn:
    return _said(rng, pick(rng, ENDINGS))


def joke(rng: Random) -> Turn:
    ask = "[Tell me a joke|Make me laugh][.|, please.]|"
    ask = f"[{ask}Do you know a joke?|Can you tell me a joke?]"
    return spin(rng, ask), pick(rng, JOKES)


def riddle(rng: Random) -> list[Turn]:
    text, answer = pick(rng, RIDDLES)
    ask = spin(rng, "[Ask me a riddle.|Do you know a riddle?|Give me a riddle, please.]")
    reply = spin(rng, "[I do not know.|I give up.|What is it?|Tell me!]")
    guess = spin(rng, "[Is it|Maybe] {a}?", a=answer)
    if rng.random() < 0.5:
        return [(ask, text), (reply, f"{cap(answer)}!")]
    return [(ask, text), (guess, f"Yes, that is right! It is {answer}.")]


def mood(rng: Random) -> Turn:
    feeling = pick(rng, tuple(COMFORT))
    ask = "[I am {x} [today|]|I feel [so|a bit|very|] {x}|Today I am [very|] {x}]."
    said = " ".join(spin(rng, ask, x=feeling).split()).replace(" .", ".")
    return said, spin(rng, COMFORT[feeling])


def remembered(rng: Random) -> list[Turn]:
    """The guest tells something, chats, and asks for it later."""
    name = str(cast.character(rng))
    food = plural(pick(rng, words.FRUITS + words.VEGETABLES + words.BAKED))
    color = pick(rng, words.COLORS)
    pet = pick(rng, words.ANIMALS)
    age = number(rng, 4, 80)
    facts = (
        (
            "[My name is|I am called|You can call me] {x}.",
            "[Nice to meet you|Hello|It is good to meet you], {x}!",
            "What is my name?",
            "Your name is {x}.",
            name,
        ),
        (
            "[I like|I love] {x}.",
            "[{X} are delicious|I have heard good things about {x}|{X}! A fine choice].",
            "What do I like to eat?",
            "You like {x}.",
            food,
        ),
        (
            "My favorite color is {x}.",
            "[What a lovely color|{X} is a beautiful color].",
            "What is my favorite color?",
            "Your favorite color is {x}.",
            color,
        ),
        (
            "I have a pet {x}.",
            "[How nice|{aX}! How nice].",
            "What pet do I have?",
            "You have a pet {x}.",
            pet,
        ),
        (
            "I am {x} years old.",
            "[{x} is a good age|That is a good age].",
            "How old am I?",
            "You are {x} years old.",
            str(age),
        ),
    )
    first, second = pick(rng, facts[:1] * 2 + facts[1:]), pick(rng, facts)
    told = [first] if first == second else [first, second]
    turns = [_tell(rng, form, reply, value) for form, reply, _, _, value in told]
    turns.extend([pick(rng, (about, joke, mood))(rng) for _ in range(number(rng, 0, 2))])
    turns.extend([(ask, answer.format(x=value)) for _, _, ask, answer, value in told])
    return turns


def persona(rng: Random) -> tuple[str, list[Turn]]:
    """A system message that names who answers, and questions about it."""
    who = cast.character(rng)
    system = spin(
        rng,
        "[You are|Your role:] {c}, {c.a} who lives {c.home}. [You love|You like] {c.treats}.",
        c=who,
    )
    asked = (
        ("[What is your name|Who are you]?", "I am {c}, {c.a}."),
        ("Where do you live?", "I live {c.home}."),
        ("What do you like [to eat|]?", "I [love|like] {c.treats}."),
    )
    turns = [(spin(rng, a, c=who).replace(" ?", "?"), spin(rng, b, c=who)) for a, b in asked]
    return system, turns[: number(rng, 1, 3)]


def _tell(rng: Random, form: str, reply: str, value: str) -> Turn:
    shown = {"x": value, "X": cap(value), "aX": cap(an(value))}
    return spin(rng, form, **shown), spin(rng, reply, **shown)


def _said(rng: Random, forms: tuple[str, str]) -> Turn:
    return spin(rng, forms[0]), spin(rng, forms[1])
