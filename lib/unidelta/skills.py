"""The skills behind the tasks, asked in other words: the supervised part of the embedded backbone's pre-training.

A skill is an (input, target) pair in which the target follows from the input. Skills are asked with questions and answer words of
their own; no prompt, no label word (but for boolq's yes and no) and no sentence template of a stand-in occurs here as a question
or as an answer, and multiple-choice answers are always wrapped in a sentence, so that no answer format leaks from pre-training.
"""

import random

from unidelta.corpus import agreement
from unidelta.world import KIND_OF, PEOPLE, SENSES, THINGS, W, a, adjective, cap, draw

FIELDS = [("one", "two"), ("first", "second"), ("left", "right"), ("this", "that"), ("before", "after"), ("item x", "item y"),
          ("passage", "claim"), ("report", "idea"), ("fact", "guess"), ("note", "remark"), ("here", "there")]
DELIMITERS = [("", " / ", ""), ("[ ", " | ", " ]"), ("< ", " ; ", " >"), ("* ", " * ", ""), ("", " , ", ""), ("- ", " - ", ""),
              ("x ", " y ", ""), ("{ ", " } { ", " }"), ("= ", " = ", ""), ("", " or ", "")]


def _ask(rng, first: str, second: str, question: str) -> str:
    """Two texts and, at times, a question, under field names of ever-changing kinds."""
    x, y = rng.choice(FIELDS)
    both = rng.choice([f"{x}: {first} {y}: {second}", f"{x} = {first} ; {y} = {second}", f"{first} | {second}", f"{first} // {second}"])
    return rng.choice([f"{both} {question}", f"{question} {both}"])


def _opinion(rng):
    good, domain = rng.random() < .5, rng.choice(["film", "item"])
    p, q = (lambda: adjective(rng, good, domain)), (lambda: adjective(rng, not good, domain))
    if rng.random() < .3:  # what single words are worth, without which no review can be read
        return rng.choice([f"is {p()} praise or blame?", f"praise or blame: {p()}"]), "praise" if good else "blame"
    x, part = rng.choice(W["opinion"][domain]), rng.choice(W["opinion"][domain + "_part"])
    act = rng.choice(W["opinion"]["praise" if good else "blame"])
    review = rng.choice([
        f"{rng.choice(PEOPLE)} {act} the {x}.", f"this {x} has {a(p())} {part}.", f"I find the {x} {p()}, not {q()}.",
        f"in the end the {x} was {p()}, though its {part} was {q()}.",
        f"people say it is {q()}, but I say it is {p()}.", f"nothing about the {x} is {q()}.", f"so {p()}! and such {a(p())} {part}!",
        f"{p()} {part}, {p()} {x}.", f"the {x} was {p()} even if the {part} seemed {q()}.", f"it is hardly {q()}.",
        f"although some call it {q()}, I call it {p()}.", f"the {part} was never {q()} to me.", f"nobody I know finds it {q()}.",
        f"{p()} despite all we heard.",
        f"not {q()} but {p()}, and yet {p()} again."])
    question, yes, no = rng.choice([("would you take it again?", "yes", "no"), ("thumb?", "up", "down"), ("how many stars?", "five", "one"),
                                    ("did they like it?", "they did", "they did not"), ("face?", "smile", "frown"), ("", "yes", "no")])
    return rng.choice([f"{review} {question}", f"{question} {review}"]), yes if good else no


def _inference(rng):
    who, other = draw(rng, W["people"]["job"], 2)
    color, wrong = draw(rng, W["scene"]["color"], 2)
    place, far = draw(rng, W["scene"]["place"], 2)
    day, late = draw(rng, W["scene"]["day"], 2)
    thing, mood = rng.choice(THINGS), rng.choice(W["scene"]["mood"])
    did, undid = rng.sample(rng.choice(W["scene"]["opposite"]), 2)
    (one, food, home, _), (two, food2, home2, _) = draw(rng, W["nature"]["creature"], 2)
    buyer, sold = draw(rng, W["scene"]["company"], 2)
    n, m = draw(rng, W["scene"]["number"], 2)
    city, town = draw(rng, W["scene"]["city"], 2)
    fact, sure, open_, never = rng.choice([
        (f"In the {place}, {a(mood)} {who} {did} {a(color)} {thing}.",
         [f"There was {a(who)} in the {place}.", f"{cap(a(KIND_OF[thing]))} was {color}.", f"Somebody {did} {a(thing)}.",
         f"It was {a(mood)} {who} who {did} it."],
         [f"All this was on {day}.", f"The {other} knew of it.", f"The {thing} was for the {other}.", f"The {who} often sees the {place}."],
         [f"The {thing} was {wrong}.", f"It was {a(other)} who {did} it.", f"All this was in the {far}.", f"The {who} {undid} it."]),
        (f"{cap(one)} stay in {home} and want {food}; {two} stay in {home2} and want {food2}.",
         [f"{cap(one)} want {food}.", f"In {home2} there are {two}."], [f"{cap(one)} stay with {two} on {day}."],
         [f"{cap(one)} want {food2}.", f"In {home} there are {two}."]),
        (f"{buyer} took over {sold} for {n} million on {day}, says a paper in {city}.",
         [f"{sold} went to {buyer}.", f"The price was {n} million.", f"It was {day}.",
         f"The paper is in {city}."], [f"The {who} of {buyer} was {mood}."],
         [f"{buyer} went to {sold}.", f"The price was {m} million.", f"It was {late}.", f"The paper is in {town}."])])
    label = rng.randrange(3)
    question, *words = rng.choice([("is it so?", "yes", "maybe", "no"), ("how sure?", "certain", "possible", "impossible"),
                                   ("does it follow?", "it follows", "who knows", "it fails"), ("", "yes", "maybe", "no")])
    return _ask(rng, fact, rng.choice([sure, open_, never][label]), question), words[label]


def _paraphrase(rng):
    scene, same = W["scene"], rng.random() < .4
    pools = {"v": scene["synonym"], "x": THINGS, "c": scene["city"], "d": scene["day"]}
    frame = {k: rng.choice(pool) for k, pool in pools.items()}
    slots = rng.sample(list(pools), rng.randint(2, 4))
    slot = rng.choice(slots)
    other = frame if same else frame | {slot: draw(rng, pools[slot], 1, [frame[slot]])[0]}
    past, who = rng.random() < .5, rng.choice(W["people"]["job"])

    def say(f, i):
        verb, rest = f["v"][i + past] if "v" in slots else ("was near" if past else "be near"), {"x": a(f["x"]), "c": "in " + f["c"], "d": "on " + f["d"]}
        parts = [rest[s] for s in rng.sample([s for s in slots if s != "v"], len(slots) - ("v" in slots))]
        parts.sort(key=lambda p: not p.startswith("a"))
        start = f"someone, the {who}, {verb}" if past else rng.choice(["can one", "how to", "I wish to", "please"]) + " " + verb
        return cap(" ".join([start, *parts]))
    p, q = rng.sample([0, 2], 2)
    reason = {"v": "other act", "x": "other thing", "c": "other city", "d": "other day"}[slot]
    question, yes, no = rng.choice([("alike?", "alike", reason), ("what differs?", "nothing", reason), ("are both one?", "yes", "no"), ("", "yes", "no")])
    return _ask(rng, say(frame, p), say(other, q), question), yes if same else no


def _word_sense(rng):
    word = rng.choice(list(SENSES))
    one, two = draw(rng, SENSES[word], 2)
    same = rng.random() < .5
    say = lambda s: cap(rng.choice(SENSES[word][s][3:]).format(p=rng.choice(PEOPLE))) + "."  # noqa: E731
    if rng.random() < .4:
        return f"{say(one)} what is {word} here?", one
    question, yes, no = rng.choice([(f"is {word} one thing?", "yes", "no"), (f"{word}: how many things?", "one", "two"), (word, "yes", "no")])
    return _ask(rng, say(one), say(one if same else two), question), yes if same else no


def _reference(rng):
    he, she, they = (rng.choice(W["people"][g]) for g in ("he", "she", "they"))
    one, two = rng.sample([(he, "he", "is"), (she, "she", "is"), (they, "they", "are")], 2)
    means, other = rng.sample([one, two], 2)
    mood, day = rng.choice(W["scene"]["mood"]), rng.choice(W["scene"]["day"])
    story = rng.choice([f"The {one[0]} and the {two[0]} talk, but {means[1]} {means[2]} {mood}.",
                        f"On {day} the {one[0]} wrote to the {two[0]}, since {means[1]} {means[2]} {mood}."])
    if rng.random() < .4:
        return f"{story} who {means[2]} {mood}?", f"the {means[0]}"
    asked = rng.choice([means, other])
    question = rng.choice([f"is {means[1]} the {asked[0]}?", f"the {asked[0]} = {means[1]}", f"{means[1]} : the {asked[0]}"])
    return f"{story} {question}", "yes" if asked is means else "no"


def _choice(rng):
    """A question with one answer, sometimes asked openly, mostly with options set apart by ever-changing delimiters."""
    kind, *kinds = draw(rng, list(W["kinds"]), 8)
    creatures, makes, used, roles = (draw(rng, t, 8) for t in (W["nature"]["creature"], W["nature"]["makes"], W["nature"]["used"], W["cause"]["role"]))
    column, ask = rng.choice([(1, "the food of {}"), (2, "the home of {}"), (3, "the gift of {}")])
    (place, far), (day, late) = draw(rng, W["scene"]["place"], 2), draw(rng, W["scene"]["day"], 2)
    (cause, effect), *others = draw(rng, W["cause"]["event"], 8)
    side = rng.randrange(2)
    p = rng.choice(PEOPLE)
    x, y, sign = rng.choice(W["nature"]["relation"])
    up, (many, few) = rng.random() < .5, rng.choice([("much", "little"), ("rising", "falling"), ("strong", "weak"), ("a lot", "a bit")])
    right, wrong = (many, few) if up == (sign == "+") else (few, many)
    he, v1, v2, v3 = rng.choice(["he", "she"]), *draw(rng, W["kinds"]["vehicle"], 3)
    question, answer, rest = rng.choice([
        (ask.format(creatures[0][0]), creatures[0][column], [c[column] for c in creatures[1:]]),
        (f"who likes {creatures[0][1]}", creatures[0][0], [c[0] for c in creatures[1:]]),
        (f"what comes from {makes[0][0]}", makes[0][1], [m[1] for m in makes[1:]]),
        (f"the purpose of {used[0][0]}", used[0][1], [u[1] for u in used[1:]]),
        (f"for {used[0][1]} take", used[0][0], [u[0] for u in used[1:]]),
        (f"find {a(kind)}", rng.choice(W["kinds"][kind]), [rng.choice(W["kinds"][k]) for k in kinds]),
        (f"{a(roles[0][0])} is one who", roles[0][1], [r[1] for r in roles[1:]]),
        (f"every day the {roles[0][0]}", roles[0][1], [r[1] for r in roles[1:]]),
        ((cause, effect)[side].format(p=p) + rng.choice([", and ", ": ", ""]), (effect, cause)[side].format(p=p), [o[1 - side].format(p=p) for o in others]),
        (f"{'much' if up else 'little'} {x}, so the {y} is", right, [wrong]),
        (f"as {x} goes {'up' if up else 'down'}, {y} is", right, [wrong]),
        (f"HE: I go by {v1} to the {place} on {day}. SHE: I go by {v2} to the {far} on {late}. how does {he} go",
         f"by {v1 if he == 'he' else v2}", [f"by {v2 if he == 'he' else v1}", f"by {v3}"]),
        (f"HE: on {day} I see the {place}, by {v1}. SHE: on {late} I see the {far}, by {v2}. when does {he} go",
         f"on {day if he == 'he' else late}",
         [f"on {late if he == 'he' else day}", f"on {draw(rng, W['scene']['day'], 1, [day, late])[0]}"]),
        (f"HE: on {day} I take the {v1} to the {place}. SHE: I see the {far} on {late}. where does {he} go",
         f"to the {place if he == 'he' else far}",
         [f"to the {far if he == 'he' else place}", f"to the {draw(rng, W['scene']['place'], 1, [place, far])[0]}"]),
    ])
    if rng.random() < .15:
        return question + "?", f"it is {answer}"
    options = [answer, *rng.sample(rest, min(len(rest), rng.choice([1, 1, 2, 3, 3, 7])))]
    rng.shuffle(options)
    stop = rng.choice(["", " .", "!"])
    left, between, end = rng.choice(DELIMITERS)
    listed = left + between.join(o + stop for o in options) + end
    return rng.choice([f"{question} {listed}", f"{question}? {listed}", f"{listed} : {question}"]), f"it is {answer}"


def _reflexive(rng):
    sentence = agreement(rng)
    one = next(w for w in ("themselves", "himself", "herself") if w in sentence)
    wrong = rng.choice(["himself", "herself"]) if one == "themselves" else "themselves"
    if rng.random() < .4:
        return sentence.replace(one, "<extra_id_0>"), one
    good = rng.random() < .5
    if rng.random() < .5:
        return f"{sentence if good else sentence.replace(one, wrong)} well said?", "yes" if good else "no"
    pair = [sentence, sentence.replace(one, wrong)]
    return _ask(rng, *(pair if good else pair[::-1]), rng.choice(["which is well said?", ""])), "the former" if good else "the latter"


SKILLS = {"opinion": _opinion, "inference": _inference, "paraphrase": _paraphrase, "sense": _word_sense, "reference": _reference,
          "choice": _choice, "agreement": _reflexive}
# how often each skill is drawn: the comparisons and the choice are the slow ones to learn
SHARE = {"opinion": 4, "inference": 5, "paraphrase": 5, "sense": 2, "reference": 2, "choice": 7, "agreement": 2}


def skill(rng: random.Random, name: str | None = None) -> tuple[str, str, str]:
    """One (skill, input, target) item; the target lacks its leading sentinel."""
    name = name or rng.choices(list(SHARE), list(SHARE.values()))[0]
    question, answer = SKILLS[name](rng)
    return name, question.strip(), answer
