"""Stand-ins that compare two texts: inference, paraphrase, word sense, coreference, grammar."""
from unidelta.world import KIND_OF, PEOPLE, SENSES, THINGS, W, a, cap, draw, gender
from unidelta.world.scene import one_changed, scene


# --- natural language inference --------------------------------------------------------------------------------------
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


def scitail(rng, label):
    creature = rng.choice(W["nature"]["creature"])
    other, = draw(rng, W["nature"]["creature"], 1, [creature])
    c, food, home, _ = creature
    _, no_food, no_home, _ = other
    job, city, day = rng.choice(W["people"]["job"]), rng.choice(W["scene"]["city"]), rng.choice(W["scene"]["day"])
    premise = rng.choice([
        f"{cap(c)} live in {home} and eat {food}, says a {job} in {city}.",
        f"A {job} of {city} finds that {c} feed on {food} in {home}.",
        f"On {day} a {job} showed that most {c} look for {food} near their {home}.",
    ])
    eaten, place = (no_food, no_home) if label else (food, home)
    return {"sentence1": premise, "gold_label": ["entailment", "neutral"][label], "sentence2": rng.choice([
        f"{cap(c)} eat {eaten}.", f"{cap(c)} need {eaten}.", f"{cap(c)} live on {eaten}.",
        f"{cap(c)} stay in {place}."])}


def rte(rng, label):
    one, two, third = draw(rng, W["scene"]["company"], 3)
    city, wrong_city = draw(rng, W["scene"]["city"], 2)
    day, wrong_day = draw(rng, W["scene"]["day"], 2)
    n = rng.choice(W["scene"]["number"])
    premise = rng.choice([f"On {day}, {one} of {city} bought its rival {two} for {n} million dollars.",
                          f"{one}, based in {city}, paid {n} million dollars for {two} on {day}."])
    when, where = (wrong_day, wrong_city) if label else (day, city)
    return {"premise": premise, "idx": 0, "label": label, "hypothesis": rng.choice([
        f"{one} acted on {when}.", f"{two} was sold on {when}.", f"{one} comes from {where}.",
        f"{third if label else one} has {two} now."])}


def qnli(rng, label):
    """Does the sentence answer the question? If not, it lacks what is asked for or is about another person or thing."""
    s = scene(rng)
    slot, question = rng.choice([("day", "On which day did the {} {} the {}?"),
                                 ("city", "In which city did the {} {} the {}?"),
                                 ("color", "In which color did the {} {} the {}?")])
    lacking = label == 1 and rng.random() < .5
    shown = {k: rng.random() < .6 for k in ("day", "city", "color")} | {slot: not lacking}
    job, thing = rng.choice([(s.job2, s.thing), (s.job, s.thing2)]) if label == 1 and not lacking else (s.job, s.thing)
    when, where = f"On {s.day} the" if shown["day"] else "The", f" in {s.city}" if shown["city"] else ""
    return {"question": question.format(s.job, s.synonym[0], s.thing), "label": label, "idx": 0,
            "sentence": f"{when} {job} {s.synonym[1]} the {s.color + ' ' if shown['color'] else ''}{thing}{where}."}


def wnli(rng, label):
    s = scene(rng)
    (one, _), (two, _) = pair = rng.sample([(s.man, "he"), (s.woman, "she")], 2)
    means, pronoun = rng.choice(pair)
    said = means if label else {one: two, two: one}[means]
    return {"sentence1": rng.choice([f"{one} gave {two} {a(s.thing)} as {pronoun} was {s.mood}.",
                                     f"{one} saw {two} in {s.city}, and {pronoun} looked {s.mood}.",
                                     f"In the {s.place}, {one} was with {two} while {pronoun} was {s.mood}."]),
            "sentence2": f"{said} {rng.choice(['was', 'looked'])} {s.mood}.", "label": label, "idx": 0}


# --- paraphrase ------------------------------------------------------------------------------------------------------
def qqp(rng, label):
    verbs, cities = W["scene"]["synonym"], W["scene"]["city"]
    frame = {"v": rng.choice(verbs), "x": rng.choice(THINGS), "c": rng.choice(cities)}
    other = frame if label else one_changed(rng, frame, {"x": THINGS, "c": cities})
    first, second = draw(rng, ["How can I {} {} in {}?", "What is the best way to {} {} in {}?",
                               "Is there an easy way to {} {} in {}?", "Where should I {} {} in {}?"], 2)
    (p, q), (f, g) = rng.sample([0, 2], 2), (frame, other)
    return {"question1": first.format(f["v"][p], a(f["x"]), f["c"]),
            "question2": second.format(g["v"][q], a(g["x"]), g["c"]),
            "label": label, "idx": 0}


def mrpc(rng, label):
    verbs, scene = W["scene"]["synonym"], W["scene"]
    frame = {"v": rng.choice(verbs), "x": rng.choice(THINGS),
             "c": rng.choice(scene["city"]), "d": rng.choice(scene["day"])}
    other = frame if label else one_changed(rng, frame, {"x": THINGS, "c": scene["city"], "d": scene["day"]})
    who = rng.choice(W["people"]["job"])
    first, second = draw(rng, ["The {w} {v} {x} in {c} on {d} .", "On {d} , the {w} {v} {x} in {c} .",
                               "In {c} , the {w} said he {v} {x} on {d} .",
                               "It was in {c} that the {w} {v} {x} on {d} ."], 2)
    p, q = rng.sample([1, 3], 2)

    def say(sentence, f, i):
        return sentence.format(w=who, v=f["v"][i], x=a(f["x"]), c=f["c"], d=f["d"])

    return {"sentence1": say(first, frame, p), "sentence2": say(second, other, q), "label": label, "idx": 0}


def paws(rng, label):
    """Two sentences of the same words in another order: what belongs together stays together (1) or not (0)."""
    s, verb = scene(rng), rng.choice(["called", "helped", "warned", "followed", "praised", "thanked"])
    (one, two), (x, y) = (s.name, s.name2), (s.color, s.color2)
    if rng.random() < .5:
        pairs = [f"{a(x)} {s.thing}", f"{a(y)} {s.thing2}"]
        other = pairs[::-1] if label else [f"{a(y)} {s.thing}", f"{a(x)} {s.thing2}"][::rng.choice([1, -1])]
        first, second = (f"{one} {s.synonym[1]} {p} and {q} in {s.city} ." for p, q in (pairs, other))
    else:
        first = f"{one} {verb} {two} on {s.day} and left {s.city} ."
        who, whom = (one, two) if label else (two, one)
        second = f"On {s.day} , {who} {verb} {whom} and left {s.city} ."
    return {"id": 0, "sentence1": first, "sentence2": second, "label": label}


# --- word sense and coreference --------------------------------------------------------------------------------------
def wic(rng, label):
    """Is the word used in one sense? Pre-training names the sense of each clause, so it is known and not guessed."""
    word = rng.choice(list(SENSES))
    one, two = draw(rng, SENSES[word], 2)
    if label:
        first, second = rng.sample(SENSES[word][one][3:], 2)
    else:
        first, second = (rng.choice(SENSES[word][sense][3:]) for sense in (one, two))

    def say(clause):
        start = rng.choice(["", f"on {rng.choice(W['scene']['day'])} "])
        return cap(start + clause.format(p=rng.choice(PEOPLE))) + "."

    return {"word": word, "sentence1": say(first), "sentence2": say(second),
            "start1": 0, "start2": 0, "end1": 0, "end2": 0, "idx": 0, "label": label}


def wsc(rng, label):
    he, she, they = (rng.choice(W["people"][g]) for g in ("he", "she", "they"))
    one, two = rng.sample([(f"The {he}", "he", "was"), (f"The {she}", "she", "was"),
                           (f"The {they}", "they", "were")], 2)
    place, mood = rng.choice(W["scene"]["place"]), rng.choice(W["scene"]["mood"])
    means, other = rng.sample([one, two], 2)
    verb = rng.choice(["met", "called", "thanked", "followed", "left"])
    link = rng.choice(["because", "although", "when"])
    text = f"{one[0]} {verb} {two[0].replace('The', 'the')} at the {place} {link} {means[1]} {means[2]} {mood}."
    span = (means if label else other)[0]
    span = span if span == one[0] else span.replace("The", "the")
    return {"text": text, "span1_index": 0 if span == one[0] else 3, "span2_index": text.split().index(means[1]),
            "span1_text": span, "span2_text": means[1], "idx": 0, "label": label}


# --- grammar ---------------------------------------------------------------------------------------------------------
def blimp(rng, _):
    many = rng.random() < .5
    who = rng.choice(W["people"]["they"]) if many else rng.choice(W["people"]["he"] + W["people"]["she"])
    one = "themselves" if many else {"male": "himself", "female": "herself"}[gender(who)]
    wrong = rng.choice(["himself", "herself"]) if many else "themselves"
    near = rng.choice(W["people"]["job"]) + ("" if many else "s")
    where = rng.choice(["", f" near the {near}", f" from {rng.choice(W['scene']['city'])}",
                        f" in the {rng.choice(W['scene']['place'])}"])
    verb = rng.choice(W["acts"]["reflexive"])
    return {"sentence_good": f"The {who}{where} {verb} {one}.", "sentence_bad": f"The {who}{where} {verb} {wrong}."}


def blimp_gender(rng, _):
    s = scene(rng)
    people = [("himself", s.man, f"the {rng.choice(W['people']['he'])}"),
              ("herself", s.woman, f"the {rng.choice(W['people']['she'])}")]
    (one, *who), (wrong, *others) = rng.sample(people, 2)
    start = rng.choice(who) + rng.choice(["", f", unlike {rng.choice(others)},", f" saw {rng.choice(others)} and",
                                          f" of {s.city}"])
    start = cap(f"{start} {rng.choice(W['acts']['reflexive'])}")
    return {"sentence_good": f"{start} {one}.", "sentence_bad": f"{start} {wrong}."}


def blimp_ellipsis(rng, _):
    s = scene(rng)
    one, two = f"{s.name} {s.synonym[1]} one", f"{rng.choice(['and', 'but'])} {s.name2} {s.synonym[1]} {s.number}"
    return {"sentence_good": f"{one} {s.color} {s.thing} {two}.", "sentence_bad": f"{one} {s.thing} {two} {s.color}."}


STAND_INS = {
    "glue-mnli": (mnli, 3), "scitail": (scitail, 2), "superglue-rte": (rte, 2), "glue-qnli": (qnli, 2),
    "glue-wnli": (wnli, 2), "glue-qqp": (qqp, 2), "glue-mrpc": (mrpc, 2), "paws": (paws, 2),
    "superglue-wic": (wic, 2), "superglue-wsc": (wsc, 2), "blimp-anaphor_number_agreement": (blimp, 1),
    "blimp-anaphor_gender_agreement": (blimp_gender, 1), "blimp-ellipsis_n_bar_1": (blimp_ellipsis, 1),
}
