"""Stand-ins whose answer is a text: long-form answers, reading, facts, summaries, queries, spans."""
from unidelta.world import W, a, cap, draw
from unidelta.world.scene import EVENTS, options, scene


# --- long-form answers: facts that pre-training states, in forms that it never uses ----------------------------------
def _long_form(rng, titles: list[str], asides: list[str], answer: str) -> dict:
    return {"title": rng.choice(titles), "selftext": rng.choice(asides), "answers": {"text": [answer]}}


def _asides(s) -> list[str]:
    """Return remarks that people write below a question; its answer does not depend on them."""
    return [f"My {s.family} could not say.", f"We talked of it in {s.city3}.", f"I saw both on {s.day3}.",
            f"The {s.job} would know.", f"It was a question at the {s.place3}."]


def eli5(rng, kind):
    """Ask what makes two creatures or two things unlike."""
    s = scene(rng)
    (c, food, home, gift), (d, food2, home2, gift2) = s.creature, s.creature2
    (x, made), (y, made2), (tool, use), (tool2, use2) = s.makes, s.makes2, s.used, s.used2
    unlike = [f"Why are {c} unlike {d}?", f"What makes {c} unlike {d}?",
              f"My {s.family} wants to know how {c} are unlike {d}."]
    need = ["Why do we need {} and {}?", "What would we do without {} and without {}?",
            "Why should every home have {} and {}?"]
    return _long_form(rng, *[
        (unlike, ["I mean what they eat.", "I mean their food."], f"{cap(c)} eat {food}, but {d} eat {food2}."),
        (unlike, ["I mean where they live.", "I mean their home."],
         f"{cap(c)} live in {home}, but {d} live in {home2}."),
        (unlike, ["I mean what we get from them.", "I mean their gift to us."],
         f"{cap(c)} give us {gift}, but {d} give us {gift2}."),
        ([n.format(x, y) for n in need[:2]], _asides(s), f"{cap(x)} makes {made}, but {y} makes {made2}."),
        ([n.format(tool, tool2) for n in need], _asides(s), f"Use {tool} for {use}, but {tool2} for {use2}."),
    ][kind])


def askh(rng, kind):
    """Ask about people, their work, companies and cities, in the tone of history."""
    s = scene(rng)
    (role, act), (role2, act2) = s.role, s.role2
    cause, effect = rng.choice(EVENTS)
    name, sex = rng.choice([(s.man, "man"), (s.woman, "woman")])
    return _long_form(rng, *[
        ([f"What was work like in old {s.city}?", f"Who worked in {s.city} long ago?"],
         [f"I know of {a(role)} and {a(role2)}.", f"Take {a(role)} and {a(role2)} of those days."],
         f"In {s.city} the {role} {act}, while the {role2} {act2}."),
        ([f"What became of {s.company2}?", f"Who bought {s.company2}?"],
         [f"I know only that {s.company} of {s.city} was its rival until {s.day}.",
          f"It was on {s.day}, they say, and its rival {s.company} was based in {s.city}."],
         f"{s.company} came from {s.city} and bought {s.company2} on {s.day}."),
        ([f"Who was {name} of {s.city}?", f"What is known of {name} who lived in {s.city}?"],
         [f"Some say {a(role)}.", f"My {s.family} thinks it was {a(role)}."],
         f"{name} was the {sex} of {s.city} who {act}."),
        ([f"Why do people say that {effect.format(p=name)}?", f"How come {effect.format(p=name)}?"],
         [f"It was in {s.city}.", f"I read of it in a {s.city} paper."],
         f"It all started in {s.city} when {cause.format(p=name)}."),
    ][kind])


def asks(rng, kind):
    """Ask about relations, tools and sources, as a student of science would."""
    s = scene(rng)
    (x, y, sign), (x2, y2, sign2) = s.relation, s.relation2
    (tool, use), (tool2, use2), (source, made), (source2, made2) = s.used, s.used2, s.makes, s.makes2
    up, up2 = rng.random() < .5, rng.random() < .5

    def much(more):
        return "more" if more else "less"

    return _long_form(rng, *[
        ([f"What does {much(up)} {x} or {much(up2)} {x2} do?",
          f"What follows from {much(up)} {x} and from {much(up2)} {x2}?"], _asides(s),
         f"{cap(much(up))} {x} means {much(up == (sign == '+'))} {y}, "
         f"but {much(up2)} {x2} means {much(up2 == (sign2 == '+'))} {y2}."),
        ([f"What should a student take for {use} and for {use2}?", f"What do I need for {use} or {use2}?"], _asides(s),
         f"For {use} look for {tool}, but for {use2} {tool2}."),
        ([f"Where in the world do {made} and {made2} come from?", f"How do we get {made} and {made2}?"], _asides(s),
         f"We get {made} from {source}, but {made2} from {source2}."),
    ][kind])


# --- questions with or without a passage -----------------------------------------------------------------------------
def web_questions(rng, kind):
    s = scene(rng)
    (c, food, home, _), (tool, use), (source, made) = s.creature, s.used, s.makes
    question, answers = [
        (f"what food do the {c} of {s.city} want", [food]), (f"what place do the {c} of {s.city} go to", [home]),
        (f"who took {food} from {s.name} in {s.city}", [c]),
        (f"what tool did {s.name} of {s.city} need for {use}", [tool]), (f"what gave {s.city} its {made}", [source]),
        (f"what {s.kind} did they see in {s.city}", list(W["kinds"][s.kind])),
    ][kind]
    question += rng.choice(["?", f" on {s.day}?"])
    return {"question": question, "answers": answers}


def boolq(rng, label):
    """Tell of two events; the question is about one of them (1), or mixes them up (0)."""
    s = scene(rng)
    (base, past, *_), (_, past2, *_) = s.synonym, s.synonym2
    lines = [f"The {s.job} {past} {a(s.thing)} in {s.city}.", f"The {s.job2} {past2} {a(s.thing2)} in {s.city2}."]
    job, thing, city = (s.job, s.thing, s.city) if label else rng.choice(
        [(s.job2, s.thing, s.city), (s.job, s.thing2, s.city), (s.job, s.thing, s.city2)])
    return {"question": f"did the {job} {base} {a(thing)} in {city}", "passage": " ".join(rng.sample(lines, 2)),
            "answer": bool(label)}


def quoref(rng, kind):
    """Tell of two people, each named first and then called by a pronoun."""
    s = scene(rng)
    lines = [f"{s.man} came to the {s.place} on {s.day}. He had {a(s.color)} {s.thing}.",
             f"{s.woman} came to the {s.place2} on {s.day2}. She had {a(s.color2)} {s.thing2}."]
    name, place, day, thing, color = rng.choice([(s.man, s.place, s.day, s.thing, s.color),
                                                 (s.woman, s.place2, s.day2, s.thing2, s.color2)])
    question, answer = [(f"Who had the {color} {thing}?", name), (f"What did {name} have?", f"{a(color)} {thing}"),
                        (f"Where was the {thing}?", f"the {place}"),
                        (f"On which day was the {thing} there?", day)][kind]
    return {"question": question, "context": " ".join(rng.sample(lines, 2)), "answers": {"text": [answer]}}


def qa_srl(rng, kind):
    s = scene(rng)
    (base, past, *_), (_, past2, *_) = s.synonym, s.synonym2
    lines = [f"the {s.job} {past} {a(s.thing)} in {s.city} on {s.day}",
             f"the {s.job2} {past2} {a(s.thing2)} in {s.city2} on {s.day2}"]
    question, answers = [(f"who {past} something ?", [f"the {s.job}", s.job]),
                         (f"what did someone {base} ?", [a(s.thing)]),
                         (f"where did someone {base} something ?", [f"in {s.city}", s.city]),
                         (f"when did someone {base} something ?", [f"on {s.day}", s.day])][kind]
    return {"sentence": cap(" and ".join(rng.sample(lines, 2))) + " .", "question": question, "answers": answers}


def ade_dosage(rng, _):
    s = scene(rng)
    one, two = draw(rng, ["honey", "milk", "salt", "iron", "zinc", "clover", "lemon", "cherry"], 2)
    dose, dose2 = f"{s.number} a day", f"{s.number2} a day"
    drug, dosage = rng.choice([(one, dose), (two, dose2)])
    start = rng.choice([f"The {rng.choice(['doctor', 'nurse'])} gave {s.name}", f"In {s.city} , {s.name} was put on"])
    return {"text": f"{start} {one} , {dose} , and {two} , {dose2} .", "drug": drug, "dosage": dosage}


# --- summaries, queries, explanations, spans -------------------------------------------------------------------------
def xsum(rng, _):
    s = scene(rng)
    name, he = rng.choice([(s.man, "He"), (s.woman, "She")])
    past = s.synonym[1]
    lines = rng.choice([[f"It was {s.day} in {s.city}.", f"{name} is {a(s.mood)} {s.job}.",
                         f"{he} {past} {a(s.color)} {s.thing} at the {s.place}."],
                        [f"{name} {past} {a(s.thing)} on {s.day}.",
                         f"{he} is {a(s.mood)} {s.job} and lives in {s.city}.",
                         f"It was for the {s.family} of {s.name3}."]])
    return {"document": "\n".join(lines), "summary": f"{cap(a(s.mood))} {s.job} in {s.city} {past} {a(s.thing)}."}


def wikisql(rng, kind):
    s = scene(rng)
    wanted, by, also = draw(rng, ["day", "city", "color", "place", "company", "thing"], 3)
    show, query = [(["which {0} has", "show the {0} with", "find every {0} with"], "SELECT {0}"),
                   (["how many {0} names go with", "in how many lines is the {0} seen with",
                     "what number of {0} names has"], "SELECT COUNT {0}")][kind % 2]
    also_where, also_query = [("", ""), (" and the {3} {4}", " AND {3} = {4}")][kind // 2]
    cells = wanted, by, getattr(s, by), also, getattr(s, also)
    return {"question": (rng.choice(show) + " the {1} {2}" + also_where).format(*cells),
            "sql": {"human_readable": (query + " FROM table WHERE {1} = {2}" + also_query).format(*cells)}}


def cos_e(rng, kind):
    s = scene(rng)
    kinds = [(rng.choice(things), k) for k, things in W["kinds"].items() if k != "metal"]  # no article before a metal
    (right, what), *others = draw(rng, [W["nature"]["used"], W["cause"]["role"], kinds][kind], 5)
    question, why = [(f"What would {s.name} of {s.city} take for {what}?", f"{right} helps people with {what}"),
                     (f"Who {what} on {s.day} in {s.city}?", f"{a(right)} {what} for people"),
                     (f"Which {what} did {s.name} see in {s.city}?", f"people call {a(right)} {a(what)}")][kind]
    return {"question": question, "choices": options(rng, right, [o[0] for o in others], rng.randrange(5)),
            "abstractive_explanation": why}


def acronym(rng, _):
    """Tag the one of two long names that its short form follows in brackets: B-long 0, B-short 1, I-long 2, O 4."""
    s = scene(rng)
    kinds = draw(rng, ["School", "Hotel", "Museum", "Market", "Library", "Station"], 2)
    firsts = draw(rng, W["scene"]["color"] + W["scene"]["company"], 2)
    middles = draw(rng, ["garden", "park", "harbor", "kitchen"], 2)
    long, other = ([cap(first), cap(middle), kind]
                   for first, middle, kind in zip(firsts, middles, kinds, strict=True))

    def outside(words):
        return [(word, 4) for word in words]

    named = [(t, 2 if i else 0) for i, t in enumerate(long)] + [("(", 4), ("".join(t[0] for t in long), 1), (")", 4)]
    one, two = rng.sample([named, outside(other)], 2)
    before, between, after = rng.choice([(["The"], ["is", "near", "the"], ["in", s.city]),
                                         ([s.name, "left", "the"], ["for", "the"], ["on", s.day]),
                                         (["In", s.city, "the"], [s.synonym[1], "the"], [])])
    tagged = [*outside(before), *one, *outside(between), *two, *outside(after), (".", 4)]
    return {"tokens": [t for t, _ in tagged], "labels": [tag for _, tag in tagged]}


STAND_INS = {
    "eli5-eli5": (eli5, 5), "eli5-askh": (askh, 4), "eli5-asks": (asks, 3), "web_questions": (web_questions, 6),
    "boolq": (boolq, 2), "quoref": (quoref, 4), "qa_srl": (qa_srl, 4), "ade_corpus_v2-dosage": (ade_dosage, 1),
    "xsum": (xsum, 1), "wikisql": (wikisql, 4), "cos_e": (cos_e, 3), "acronym_identification": (acronym, 1),
}
