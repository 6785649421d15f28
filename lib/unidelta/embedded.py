"""Stand-ins for the paper's tasks, generated from a small grammar in the columns of the real data sets on the hub.

A stand-in shares a task's name, columns, label words and therefore its CrossFit prompt (the same formatter serves hub,
mirror and stand-in), never its rows. Every table and caption that rests on one says so. The suite was fixed before any
subspace result was looked at. `examples()` is what the book shows.
"""
import random
from collections.abc import Callable

from unidelta.world import KIND_OF, PEOPLE, SENSES, THINGS, W, a, adjective, cap, draw, gender

SIZES = {"train": 1000, "validation": 250, "test": 250}
GENERATORS: dict[str, Callable[[random.Random, int], dict]] = {}  # task -> (rng, class index) -> row
CLASSES: dict[str, int] = {}  # task -> number of classes (or of options) to keep in balance


def stand_in(name: str, classes: int):
    def register(f):
        GENERATORS[name], CLASSES[name] = f, classes
        return f
    return register


def names() -> list[str]:
    """The tasks that have a stand-in."""
    return list(GENERATORS)


def raw(name: str, split: str, seed: int = 0) -> list[dict]:
    """Rows of one split in the hub's own columns, balanced over classes, without a row in common with another split.

    Raises ValueError for a task without a stand-in and for a split other than train, validation, test.
    """
    if name not in GENERATORS:
        raise ValueError(f"no embedded stand-in for task {name!r}; there is one for: {', '.join(names())}")
    if split not in SIZES:
        raise ValueError(f"no split {split!r}; allowed: {', '.join(SIZES)}")
    rng, rows, seen = random.Random(f"{name}/{seed}"), [], set()
    while len(rows) < sum(SIZES.values()):
        row = GENERATORS[name](rng, len(rows) % CLASSES[name])
        if repr(row) not in seen:
            seen.add(repr(row))
            rows.append(row)
    rng.shuffle(rows)
    start = sum(n for s, n in SIZES.items() if list(SIZES).index(s) < list(SIZES).index(split))
    return rows[start:start + SIZES[split]]


# --- sentiment -------------------------------------------------------------------------------------------------------
@stand_in("glue-sst2", 2)
def sst2(rng, label):
    p, q = (lambda: adjective(rng, label == 1, "film")), (lambda: adjective(rng, label == 0, "film"))
    film, part = rng.choice(W["opinion"]["film"]), rng.choice(W["opinion"]["film_part"])
    text = rng.choice([
        f"the {film} is {p()} and the {part} is {p()}", f"despite the {q()} {part} , the {film} is {p()}",
        f"the {part} is not {q()} and the {film} is {p()}", f"the {film} is never {q()}",
        f"the {part} may be {q()} , but the {film} is {p()}", f"{a(p())} {film} with {p()} {part}",
    ])
    return {"sentence": text + " ", "label": label, "idx": 0}


@stand_in("rotten_tomatoes", 2)
def rotten_tomatoes(rng, label):
    p, q = (lambda: adjective(rng, label == 1, "film")), (lambda: adjective(rng, label == 0, "film"))
    film, part = rng.choice(W["opinion"]["film"]), rng.choice(W["opinion"]["film_part"])
    act = rng.choice(W["opinion"]["praise" if label else "blame"][:4])
    return {"text": rng.choice([
        f"it looks {q()} at first , yet the {film} turns out {p()} .", f"nobody could call this {film} {q()} .",
        f"what {a(p())} {film} , and how {p()} its {part} !", f"critics {act} the {p()} {part} of this {film} .",
        f"even {a(q())} {part} cannot hide how {p()} this {film} is .", f"its {part} makes this {film} {p()} .",
    ]), "label": label}


@stand_in("amazon_polarity", 2)
def amazon_polarity(rng, label):
    p, q = (lambda: adjective(rng, label == 1, "item")), (lambda: adjective(rng, label == 0, "item"))
    item, part, who = rng.choice(W["opinion"]["item"]), rng.choice(W["opinion"]["item_part"]), rng.choice(W["people"]["family"])
    act = rng.choice(W["opinion"]["praise" if label else "blame"])
    title = rng.choice([f"My new {item}", f"{cap(p())} {item}", f"A gift for my {who}"])
    content = rng.choice([
        f"I bought this {item} for my {who}. The {part} is {p()} and we {act} it.",
        f"I expected {a(q())} {item}, but this one is {p()}.", f"The {part} is {p()}. My {who} {act} the whole {item}.",
        f"It is not {q()} at all. The {part} is {p()}.", f"Although the {part} is {q()}, the {item} itself is {p()}.",
    ])
    return {"label": label, "title": title, "content": content}


# --- natural language inference --------------------------------------------------------------------------------------
@stand_in("glue-mnli", 3)
def mnli(rng, label):
    who, other = draw(rng, W["people"]["job"], 2)
    color, wrong = draw(rng, W["scene"]["color"], 2)
    place, mood, thing = rng.choice(W["scene"]["place"]), rng.choice(W["scene"]["mood"]), rng.choice(THINGS)
    did, undid = rng.sample(rng.choice(W["scene"]["opposite"]), 2)
    kind, day = KIND_OF[thing], rng.choice(W["scene"]["day"])
    hypothesis = rng.choice([
        [f"The {who} {did} {a(thing)}.", f"The {who} {did} {a(kind)}.", f"Someone {did} {a(color)} {thing}.",
         f"A {mood} {who} was in the {place}."],
        [f"The {who} {did} the {thing} on {day}.", f"The {who} {did} the {thing} for the {other}.",
         f"The {other} saw the {thing}.", f"The {who} lives near the {place}."],
        [f"The {who} {undid} the {thing}.", f"The {thing} was {wrong}.", f"No one {did} {a(thing)}.",
         f"There was no {who} in the {place}."],
    ][label])
    return {"premise": f"The {mood} {who} {did} {a(color)} {thing} in the {place}.", "hypothesis": hypothesis,
            "label": label, "idx": 0}


@stand_in("scitail", 2)
def scitail(rng, label):
    (c1, food1, home1, gives1), (c2, food2, home2, gives2) = draw(rng, W["nature"]["creature"], 2)
    premise = rng.choice([
        f"{cap(c1)} live in {home1} and eat {food1}, while {c2} live in {home2} and eat {food2}.",
        f"Unlike {c2}, which feed on {food2} in {home2}, {c1} feed on {food1} in {home1}.",
        f"Most {c1} look for {food1} near their {home1}; most {c2} look for {food2} near their {home2}.",
    ])
    true = [f"{cap(c1)} eat {food1}.", f"{cap(c2)} eat {food2}.", f"{cap(home1)} are home to {c1}.",
            f"{cap(home2)} are home to {c2}."]
    open_ = [f"{cap(c1)} eat {food2}.", f"{cap(c2)} eat {food1}.", f"{cap(home1)} are home to {c2}.",
             f"{cap(home2)} are home to {c1}."]
    return {"sentence1": premise, "sentence2": rng.choice(open_ if label else true),
            "gold_label": ["entailment", "neutral"][label]}


@stand_in("superglue-rte", 2)
def rte(rng, label):
    one, two, third = draw(rng, W["scene"]["company"], 3)
    city, wrong_city = draw(rng, W["scene"]["city"], 2)
    day, wrong_day = draw(rng, W["scene"]["day"], 2)
    n, m = draw(rng, W["scene"]["number"], 2)
    premise = rng.choice([f"On {day}, {one} of {city} bought its rival {two} for {n} million dollars.",
                          f"{one}, based in {city}, paid {n} million dollars for {two} on {day}."])
    true = [f"{two} was sold to {one}.", f"{one} comes from {city}.", f"{one} acted on {day}.", f"{two} cost {n} million."]
    false = [f"{one} was sold to {two}.", f"{one} comes from {wrong_city}.", f"{one} acted on {wrong_day}.",
             f"{two} cost {m} million.", f"{third} was sold to {one}."]
    return {"premise": premise, "hypothesis": rng.choice(false if label else true), "idx": 0, "label": label}


# --- paraphrase ------------------------------------------------------------------------------------------------------
def _one_changed(rng, frame: dict, pools: dict) -> dict:
    """The frame with one slot replaced by another member of its pool."""
    slot = rng.choice(list(pools))
    return frame | {slot: draw(rng, pools[slot], 1, [frame[slot]])[0]}


@stand_in("glue-qqp", 2)
def qqp(rng, label):
    verbs, cities = W["scene"]["synonym"], W["scene"]["city"]
    frame = {"v": rng.choice(verbs), "x": rng.choice(THINGS), "c": rng.choice(cities)}
    other = frame if label else _one_changed(rng, frame, {"v": verbs, "x": THINGS, "c": cities})
    first, second = draw(rng, ["How can I {} {} in {}?", "What is the best way to {} {} in {}?",
                               "Is there an easy way to {} {} in {}?", "Where should I {} {} in {}?"], 2)
    (p, q), (f, g) = rng.sample([0, 2], 2), (frame, other)
    return {"question1": first.format(f["v"][p], a(f["x"]), f["c"]), "question2": second.format(g["v"][q], a(g["x"]), g["c"]),
            "label": label, "idx": 0}


@stand_in("glue-mrpc", 2)
def mrpc(rng, label):
    verbs, scene = W["scene"]["synonym"], W["scene"]
    frame = {"v": rng.choice(verbs), "x": rng.choice(THINGS), "c": rng.choice(scene["city"]), "d": rng.choice(scene["day"])}
    other = frame if label else _one_changed(rng, frame, {"v": verbs, "x": THINGS, "c": scene["city"], "d": scene["day"]})
    who = rng.choice(W["people"]["job"])
    first, second = draw(rng, ["The {w} {v} {x} in {c} on {d} .", "On {d} , the {w} {v} {x} in {c} .",
                               "In {c} , the {w} said he {v} {x} on {d} .", "It was in {c} that the {w} {v} {x} on {d} ."], 2)
    p, q = rng.sample([1, 3], 2)
    say = lambda s, f, i: s.format(w=who, v=f["v"][i], x=a(f["x"]), c=f["c"], d=f["d"])  # noqa: E731
    return {"sentence1": say(first, frame, p), "sentence2": say(second, other, q), "label": label, "idx": 0}


# --- word sense and coreference --------------------------------------------------------------------------------------
@stand_in("superglue-wic", 2)
def wic(rng, label):
    word = rng.choice(list(SENSES))
    one, two = draw(rng, SENSES[word], 2)
    two = one if label else two
    first, second = rng.sample(SENSES[word][one][:3], 2) if label else (rng.choice(SENSES[word][s][:3]) for s in (one, two))
    say = lambda c: cap(rng.choice(["", f"on {rng.choice(W['scene']['day'])} "]) + c.format(p=rng.choice(PEOPLE))) + "."  # noqa: E731
    return {"word": word, "sentence1": say(first), "sentence2": say(second), "start1": 0, "start2": 0, "end1": 0, "end2": 0,
            "idx": 0, "label": label}


@stand_in("superglue-wsc", 2)
def wsc(rng, label):
    he, she, they = (rng.choice(W["people"][g]) for g in ("he", "she", "they"))
    one, two = rng.sample([(f"The {he}", "he", "was"), (f"The {she}", "she", "was"), (f"The {they}", "they", "were")], 2)
    place, mood = rng.choice(W["scene"]["place"]), rng.choice(W["scene"]["mood"])
    means, other = rng.sample([one, two], 2)
    verb = rng.choice(["met", "called", "thanked", "followed", "left"])
    link = rng.choice(["because", "although", "when"])
    text = f"{one[0]} {verb} {two[0].replace('The', 'the')} at the {place} {link} {means[1]} {means[2]} {mood}."
    span = (means if label else other)[0]
    span = span if span == one[0] else span.replace("The", "the")
    return {"text": text, "span1_index": 0 if span == one[0] else 3, "span2_index": text.split().index(means[1]),
            "span1_text": span, "span2_text": means[1], "idx": 0, "label": label}


# --- multiple choice -------------------------------------------------------------------------------------------------
def _options(rng, right: str, wrong: list[str], at: int) -> list[str]:
    wrong = list(wrong)
    rng.shuffle(wrong)
    return wrong[:at] + [right] + wrong[at:]


@stand_in("dream", 3)
def dream(rng, at):
    places, vehicles, days = (draw(rng, pool, 3) for pool in (W["scene"]["place"], W["kinds"]["vehicle"], W["scene"]["day"]))
    lines = [f"M: I want to go to the {places[0]} by {vehicles[0]} on {days[0]}.",
             f"W: I would rather see the {places[1]}. I will take the {vehicles[1]} on {days[1]}."]
    woman = rng.random() < .5
    who, i = ("woman", 1) if woman else ("man", 0)
    question, answers = rng.choice([(f"Where does the {who} want to go?", [f"To the {x}." for x in places]),
                                    (f"How will the {who} travel?", [f"By {x}." for x in vehicles]),
                                    (f"When will the {who} leave?", [f"On {x}." for x in days])])
    return {"dialogue": lines, "question": question, "choice": _options(rng, answers[i], answers[:i] + answers[i + 1:], at),
            "answer": answers[i]}


@stand_in("codah", 4)
def codah(rng, at):
    roles = draw(rng, W["cause"]["role"], 4)
    (who, act), day, name = roles[0], rng.choice(W["scene"]["day"]), rng.choice(PEOPLE)
    pronoun = {"male": "He", "female": "She"}[gender(name)]
    prompt = rng.choice([f"It is {day} and the {who} is at work. The {who}", f"{name} is {a(who)}. Today {pronoun.lower()}",
                         f"{name} started to work as {a(who)} on {day}. {pronoun}"])
    return {"question_propmt": prompt, "candidate_answers": _options(rng, act + ".", [x + "." for _, x in roles[1:]], at),
            "correct_answer_idx": at}


@stand_in("quartz-no_knowledge", 2)
def quartz(rng, at):
    x, y, sign = rng.choice(W["nature"]["relation"])
    up, name, city = rng.random() < .5, rng.choice(PEOPLE), rng.choice(W["scene"]["city"])
    more = up == (sign == "+")
    words, question = rng.choice([
        (("increase", "decrease"), f"{name} learns about {x} in {city}. If the {x} {'increases' if up else 'decreases'}, the {y} will _____."),
        (("more", "less"), f"{name} of {city} studies {x} and {y}. When there is {'more' if up else 'less'} {x}, there is _____ {y}."),
        (("higher", "lower"), f"{name} in {city} finds that the {x} is {'high' if up else 'low'} and expects the {y} to be _____."),
    ])
    right, wrong = words if more else words[::-1]
    return {"question": question, "choices": {"text": _options(rng, right, [wrong], at), "label": ["A", "B"]},
            "answerKey": "AB"[at], "para": ""}


@stand_in("superglue-copa", 2)
def copa(rng, at):
    (cause, effect), wrong = draw(rng, W["cause"]["event"], 2)
    name, day, asks = rng.choice(PEOPLE), rng.choice(W["scene"]["day"]), rng.choice(["cause", "effect"])
    premise, right, other = (effect, cause, wrong[0]) if asks == "cause" else (cause, effect, wrong[1])
    say = lambda c: cap(c.format(p=name)) + "."  # noqa: E731
    one, two = _options(rng, say(right), [say(other)], at)
    return {"premise": say(rng.choice(["", f"on {day} "]) + premise), "choice1": one, "choice2": two, "question": asks, "idx": 0, "label": at}


def _facts(rng):
    """(question, right answer, wrong answers) about the facts of nature that pre-training states in plain sentences."""
    column, ask = rng.choice([(1, "What do {} eat?"), (2, "Where do {} live?"), (3, "What do we get from {}?")])
    table, key, value = rng.choice([(W["nature"]["creature"], ask, column), (W["nature"]["makes"], "What does {} make?", 1),
                                    (W["nature"]["used"], "What is {} good for?", 1)])
    rows = draw(rng, table, 8)
    return key.format(rows[0][0]), rows[0][value], [r[value] for r in rows[1:]]


@stand_in("qasc", 8)
def qasc(rng, at):
    question, right, wrong = _facts(rng)
    return {"question": question, "choices": {"text": _options(rng, right, wrong, at), "label": list("ABCDEFGH")},
            "answerKey": "ABCDEFGH"[at]}


@stand_in("ai2_arc", 4)
def ai2_arc(rng, at):
    kind, *others = draw(rng, list(W["kinds"]), 4)
    (c, food, *_), *rest = draw(rng, W["nature"]["creature"], 4)
    (tool, use), *tools = draw(rng, W["nature"]["used"], 4)
    question, right, wrong = rng.choice([
        (f"Which of these is {a(kind)}?", rng.choice(W["kinds"][kind]), [rng.choice(W["kinds"][k]) for k in others]),
        (f"Which animals are known to eat {food}?", c, [r[0] for r in rest]),
        (f"A student needs help with {use}. What should the student take?", tool, [t[0] for t in tools])])
    return {"question": question, "choices": {"text": _options(rng, right, wrong, at), "label": list("ABCD")},
            "answerKey": "ABCD"[at]}


# --- grammar ---------------------------------------------------------------------------------------------------------
@stand_in("blimp-anaphor_number_agreement", 1)
def blimp(rng, _):
    many = rng.random() < .5
    who = rng.choice(W["people"]["they"]) if many else rng.choice(W["people"]["he"] + W["people"]["she"])
    one = "themselves" if many else {"male": "himself", "female": "herself"}[gender(who)]
    wrong = rng.choice(["himself", "herself"]) if many else "themselves"
    near = rng.choice(W["people"]["job"]) + ("" if many else "s")
    where = rng.choice(["", f" near the {near}", f" from {rng.choice(W['scene']['city'])}", f" in the {rng.choice(W['scene']['place'])}"])
    verb = rng.choice(W["acts"]["reflexive"])
    return {"sentence_good": f"The {who}{where} {verb} {one}.", "sentence_bad": f"The {who}{where} {verb} {wrong}."}
