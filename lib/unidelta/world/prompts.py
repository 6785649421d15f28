"""How pre-training asks: the texts of a skill under prompts that never stay the same.

A tuned delta stands in for an instruction. What it learns under one prompt carries over to another only if the backbone
reads the texts and not the prompt. Most of the items therefore come under a tag, field names, separators and option
marks drawn at random, mostly with no question at all, so that what is asked follows from the texts alone. No prompt of
a stand-in is among them: names are shuffled, and the marks that CrossFit uses are left out.
"""
import random
import string

from unidelta.world.corpus import LEXICON, WORDS

FIELDS = [("one", "two"), ("first", "second"), ("left", "right"), ("this", "that"), ("before", "after"),
          ("item x", "item y"),
          ("passage", "claim"), ("report", "idea"), ("fact", "guess"), ("note", "remark"), ("here", "there")]
DELIMITERS = [("", " / ", ""), ("[ ", " | ", " ]"), ("< ", " ; ", " >"), ("* ", " * ", ""), ("", " , ", ""),
              ("- ", " - ", ""), ("x ", " y ", ""), ("{ ", " } { ", " }"), ("= ", " = ", ""), ("", " or ", "")]
PIECES = """
glue sst2 rotten tomatoes amazon polarity mnli scitail superglue rte qqp mrpc wic wsc dream codah quartz no
knowledge copa qasc ai2 arc blimp anaphor number agreement
""".split()
BRACKETS = ["[]", "()", "<>", "{}", "||", "  "]
# field names of CrossFit's prompts
FORBIDDEN = {"sentence", "premise", "hypothesis", "question", "title", "content", "word", "text", "context"}


def _word(rng: random.Random) -> str:
    """Draw a word of the lexicon, a piece of a task's name, or random letters and digits."""
    kind = rng.random()
    if kind < .4:
        return rng.choice(WORDS)
    if kind < .7:
        return rng.choice(PIECES)
    return "".join(rng.choices(string.ascii_letters + string.digits, k=rng.randint(1, 4)))


def _tag(rng: random.Random) -> str:
    words = [_word(rng) for _ in range(rng.randint(1, 3))]
    words.insert(rng.randint(0, len(words)), rng.choice(LEXICON))  # few names of tasks contain a word of the lexicon
    return "[" + rng.choice("-_-").join(words) + "]"


def _separator(rng: random.Random) -> str:
    if rng.random() < .2:
        return rng.choice(["|", "/", "//", ";", "-", "##", "and then", "*"])
    left, right = rng.choice(BRACKETS)
    name = rng.choice(["SEP", "CUT", "MID", "END", "TO",
                       "".join(rng.choices(string.ascii_uppercase, k=rng.randint(2, 3)))])
    return "<SEP>" if (left, name) == ("[", "SEP") else left + name + right


def _fields(rng: random.Random, n: int) -> list[str]:
    kind = rng.random()
    if kind < .25:
        return [""] * n
    names = [_word(rng) for _ in range(n)]
    if kind < .65:  # one name, counted
        start = rng.choice("1AaX")
        names = [f"{names[0]}{rng.choice([' ', '', '_'])}{chr(ord(start) + i)}" for i in range(n)]
    end = rng.choice([":", ":", ":", " =", " -", ""])
    return ["" if end == ":" and name.split()[0] in FORBIDDEN else name + end + " " for name in names]


def dressed(rng: random.Random, parts: list[str], question: str = "") -> str:
    """Put the texts under a prompt drawn at random, with the question, if any, at either end."""
    between = f" {_separator(rng)} "
    body = between.join(name + part for name, part in zip(_fields(rng, len(parts)), parts, strict=True))
    if question:
        body = rng.choice([f"{body} {question}", f"{question} {body}"])
    return f"{_tag(rng)} {body}" if rng.random() < .85 else body


def renamed(rng: random.Random, answers: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Give every answer a name for this prompt, in words of the lexicon: (the clause that says so, the names)."""
    words = rng.sample(LEXICON, 2 * len(answers))
    names = tuple(rng.choice(" _").join(words[i:i + rng.choice([1, 1, 1, 2, 2])]) for i in range(0, len(words), 2))
    pair, between = rng.choice([("{}: {}", " "), ("{} = {}", " ; "), ("{} -> {}", " "), ("{} is {}", " , "),
                                ("say {1} for {0}", " , "), ("{1} if {0}", " or "), ("<{}> {}", " "),
                                ("{1} ( {0} )", " / "), ("{} {}", " , "), ("{0} means {1}", ". ")])
    said = [pair.format(answer, name) for answer, name in zip(answers, names, strict=True)]
    return between.join(rng.sample(said, len(said))), names


def plain(rng: random.Random, parts: list[str], question: str = "") -> str:
    """Put the texts under one of a few fixed pairs of field names."""
    if len(parts) == 1:
        body = parts[0]
    else:
        (x, y), (first, *rest) = rng.choice(FIELDS), parts
        second = " | ".join(rest)
        body = rng.choice([f"{x}: {first} {y}: {second}", f"{x} = {first} ; {y} = {second}",
                           f"{first} | {second}", f"{first} // {second}"])
    return rng.choice([f"{body} {question}", f"{question} {body}"])


def listed(rng: random.Random, options: list[str], marks: bool) -> str:
    """Put the options in a row, set apart by delimiters, or each after a mark of its own."""
    if not marks:
        left, between, end = rng.choice(DELIMITERS)
        return left + between.join(options) + end
    letters = rng.choice([string.ascii_uppercase[:8], string.ascii_lowercase[:8], "12345678",
                          "".join(rng.sample(string.ascii_uppercase, 8)),
                          "".join(rng.sample(string.ascii_uppercase, 8))])
    left, right = rng.choice(["()", " )", " .", "[]", "<>", " :"])
    if left == "(":  # CrossFit uses (A), (B), ...
        letters = letters.translate(str.maketrans("ABCDEFGH", "KLMNOPQR"))
    return " ".join(f"{left}{mark}{right} {option}".strip() for mark, option in zip(letters, options, strict=False))
