"""The scripted model's vocabulary: every byte, an end of text, and 3,600 words of two syllables.

Shared by its engine (which token comes next) and its tokenizer (the text of a token).
"""

SYLLABLES = tuple(c + v for c in "bdfgklmnprst" for v in "aeiou")
WORDS = tuple(f" {first}{second}" for first in SYLLABLES for second in SYLLABLES)
END = 256
FIRST_WORD = 257
TEXTS = (
    *(bytes([byte]) for byte in range(END)),
    b"",
    *(word.encode() for word in WORDS),
)
