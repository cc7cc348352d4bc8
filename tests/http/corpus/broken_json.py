"""Bodies with correct framing that are not the JSON object that a prompt is.

All are answered 400 by the server itself, also through the proxy. The message begins with the same
words and, for a syntax error, names its line and column.
"""

from ..case import Case, sent

EXAMPLE_WITHOUT_A_QUOTE = b"""{
  "text": "Where should I go in Austin when I visit?",
  temperature":"1",
  "top_k":"40",
  "top_p":"0.9",
  "max_tokens":"32"
}"""
EXAMPLE_WITH_A_TRAILING_COMMA = b"""{
  "text": "Where should I go in Austin when I visit?",
  "temperature":"1",
  "top_k":"40",
  "top_p":"0.9",
  "max_tokens":"32",
  "stop_sequence": ".",
}"""


def _body(name: str, body: bytes, says: str, hint: str = "Malformed JSON request body") -> Case:
    return Case(name=name, says=says, raw=sent(body), hint=hint, behind=True)


def _nested(depth: int) -> bytes:
    return b'{"text": ' + b"[" * depth + b"]" * depth + b"}"


_SYNTAX = (
    _body(
        "T-47: opening quote missing",
        EXAMPLE_WITHOUT_A_QUOTE,
        "example 2 of old",
        "line 3, column 3",
    ),
    _body(
        "T-48: trailing comma",
        EXAMPLE_WITH_A_TRAILING_COMMA,
        "example 3 of old",
        "line 8, column 1",
    ),
    _body("empty object, open", b"{", "the object has no end", "line 1, column 2"),
    _body("object, open", b'{"text": "Hi"', "the object has no end", "line 1, column 14"),
    _body("object, closed twice", b'{"text": "Hi"}}', "something follows", "line 1, column 15"),
    _body("two objects", b'{"text": "Hi"}{"text": "Hi"}', "something follows", "line 1, column 15"),
    _body(
        "lines of JSON", b'{"text": "Hi"}\n{"text": "Hi"}', "something follows", "line 2, column 1"
    ),
    _body("word after", b'{"text": "Hi"} thanks', "something follows", "column 16"),
    _body("string, open", b'{"text": "Hi}', "the string has no end", "column 10"),
    _body("single quotes", b"{'text': 'Hi'}", "double ones are needed", "column 2"),
    _body("no quotes", b"{text: Hi}", "double ones are needed", "column 2"),
    _body("smart quotes", "{“text”: “Hi”}".encode(), "double ones are needed", "column 2"),
    _body("no colon", b'{"text" "Hi"}', "a colon is needed", "column 9"),
    _body("equals sign", b'{"text" = "Hi"}', "a colon is needed", "column 9"),
    _body("no comma", b'{"text": "Hi" "seed": 1}', "a comma is needed", "column 15"),
    _body("comma first", b'{,"text": "Hi"}', "a name is needed", "column 2"),
    _body("two commas", b'{"text": "Hi",,"seed": 1}', "a name is needed"),
    _body("no value", b'{"text": }', "a value is needed", "column 10"),
    _body("number as a name", b'{1: "Hi"}', "names are strings", "column 2"),
    _body("comment", b'{"text": "Hi" /* there */}', "JSON has none", "column 15"),
    _body("line comment", b'// hello\n{"text": "Hi"}', "JSON has none", "line 1, column 1"),
    _body("True", b'{"text": "Hi", "stream": True}', "it is true", "column 26"),
    _body("None", b'{"text": None}', "it is null", "column 10"),
    _body("undefined", b'{"text": undefined}', "it is null", "column 10"),
    _body("leading zero", b'{"text": "Hi", "seed": 01}', "not a number", "column 25"),
    _body("leading plus", b'{"text": "Hi", "seed": +1}', "not a number", "column 24"),
    _body("leading point", b'{"text": "Hi", "top_p": .9}', "not a number", "column 25"),
    _body("trailing point", b'{"text": "Hi", "top_p": 1.}', "not a number", "column 26"),
    _body("hex number", b'{"text": "Hi", "seed": 0x10}', "not a number", "column 25"),
    _body("bad escape", b'{"text": "\\x41"}', "no such escape", "column 11"),
    _body("short escape", b'{"text": "\\u12"}', "four digits are needed"),
    _body("raw line break", b'{"text": "a\nb"}', "to be escaped", "line 1, column 12"),
    _body("raw tab", b'{"text": "a\tb"}', "to be escaped", "column 12"),
    _body("raw NUL", b'{"text": "a\0b"}', "to be escaped", "column 12"),
    _body("NUL before", b'\0{"text": "Hi"}', "not white space", "column 1"),
    _body("NUL after", b'{"text": "Hi"}\0', "not white space", "column 15"),
    _body("no-break space before", '\u00a0{"text": "Hi"}'.encode(), "not white space", "column 1"),
    _body("template", b'{"text": {{prompt}}}', "not filled in", "column 11"),
    _body("YAML", b"text: Hi\nseed: 1\n", "not JSON", "line 1, column 1"),
    _body("XML", b"<text>Hi</text>", "not JSON", "line 1, column 1"),
    _body("plain text", b"Hi there", "not JSON", "line 1, column 1"),
)

_KINDS = (
    _body("nothing", b"", "there is no body", "empty"),
    _body("white space", b" \r\n\t ", "there is no JSON", "empty"),
    _body("null", b"null", "an object is needed", "object"),
    _body("true", b"true", "an object is needed", "object"),
    _body("number", b"42", "an object is needed", "object"),
    _body("NaN", b"NaN", "an object is needed"),
    _body("string", b'"Hi"', "an object is needed", "object"),
    _body("array", b"[]", "an object is needed", "object"),
    _body("array of objects", b'[{"text": "Hi"}]', "an object is needed", "object"),
    _body("a name twice", b'{"text": "Hi", "text": "Ho"}', "which?", "twice"),
    _body("a name twice, escaped", b'{"text": "Hi", "te\\u0078t": "Ho"}', "which?", "twice"),
    _body("a name twice, within", b'{"text": "Hi", "seed": {"a": 1, "a": 2}}', "which?", "twice"),
)

_DEPTHS = (
    *(
        _body(
            f"nested {depth} deep",
            _nested(depth),
            "text is a string",
            "text" if depth < 500 else "",
        )
        for depth in (100, *range(860, 1001, 10), 100_000)
    ),
    _body("100,000 open arrays", b"[" * 100_000, "deeper than anything is read", "deep"),
    _body("100,000 open objects", b'{"a":' * 50_000, "deeper than anything is read", "deep"),
    _body("100,000 closing brackets", b"]" * 100_000, "nothing is open"),
    _body(
        "number of 5,000 digits",
        b'{"text": "Hi", "seed": %s}' % (b"9" * 5000),
        "too long",
        "digits",
    ),
    _body(
        "number of 100,000 digits",
        b'{"text": "Hi", "seed": %s}' % (b"9" * 100_000),
        "too long",
        "digits",
    ),
    _body(
        "10,000 names", b"{%s}" % b",".join(b'"a%d": 1' % i for i in range(10_000)), "unknown", "a0"
    ),
)

CASES = (*_SYNTAX, *_KINDS, *_DEPTHS)
