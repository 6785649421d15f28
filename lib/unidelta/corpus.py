"""Text that the embedded backbone is pre-trained on: plain sentences about the small world, and the skills behind them.

Two kinds of items, both generated from a seed:
- `text`: a paragraph of plain sentences, to be corrupted by masking spans (T5's own objective);
- `skill`: an (input, target) pair in which the target follows from the input. Skills are asked with questions and answer words of
  their own; no prompt, no label word and no sentence template of a task in `unidelta.embedded` occurs here as a question or as an
  answer, and multiple-choice answers are always wrapped in a sentence. The tasks' label words occur only as vocabulary
  (`_vocabulary`), where nothing but the word itself is at stake.
"""
import random

from unidelta.world import KIND_OF, PEOPLE, SENSES, THINGS, W, a, adjective, cap, draw, gender

# label words of the tasks, known to the backbone as words of English, never as answers to anything
PLAIN_WORDS = ["positive", "negative", "entailment", "neutral", "contradiction", "duplicate", "equivalent", "true", "false",
               "sentence", "premise", "hypothesis", "question", "title", "content", "word", "text", "not_found", "top_secret",
               "choice", "more", "less", "higher", "lower", "increase", "decrease", "SEP", "span", "first_name", "1", "2", "A", "B"]
FUNCTION_WORDS = """although because before but by despite during each either even every except for from had has he her his how however if in indeed into
is it its just like many me most much my near neither never no nobody none nor not nothing of off on one only or other our out over own rather same
says she should since so some still such than that the their them then there these they this those though through to today too toward under unlike
until upon was way were what when where which while who whole whose why will with without would yet you your expected turned turns called expects looks
makes known help student best easy rival million paid cost come comes live lives started work based acted seen saw notices learns finds amount level
critics nearby morning million gift home known man woman travel leave take want good eat feed get think use M W I dollars look looked studies can
cause effect animals make may itself increases decreases thanked cannot high low What Which Where When Is My By If To Today Most No Unlike Although""".split()
MEANING = [("duplicate", "same"), ("equivalent", "same"), ("positive", "good"), ("negative", "bad"), ("true", "right"),
           ("false", "wrong"), ("neutral", "open"), ("contradiction", "conflict"), ("entailment", "consequence")]
FIELDS = [("one", "two"), ("first", "second"), ("left", "right"), ("this", "that"), ("before", "after"), ("item x", "item y"),
          ("passage", "claim"), ("report", "idea"), ("fact", "guess"), ("note", "remark"), ("here", "there")]
DELIMITERS = [("", " / ", ""), ("[ ", " | ", " ]"), ("< ", " ; ", " >"), ("* ", " * ", ""), ("", " , ", ""), ("- ", " - ", ""),
              ("x ", " y ", ""), ("{ ", " } { ", " }"), ("= ", " = ", ""), ("", " or ", "")]


def _everything(node=W):
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, str):
            yield value
        else:
            yield from _everything(value)


WORDS = sorted({w for phrase in _everything() for w in phrase.replace("{p}", "").split()} - set("+-")) + 2 * FUNCTION_WORDS + 4 * PLAIN_WORDS


# --- plain sentences -------------------------------------------------------------------------------------------------
def _scene(rng):
    who, thing, place = rng.choice(W["people"]["job"]), rng.choice(THINGS), rng.choice(W["scene"]["place"])
    did = rng.choice(rng.choice(W["scene"]["opposite"]) + rng.choice(W["scene"]["synonym"])[1::2])
    color, mood, day = (rng.choice(W["scene"][k]) for k in ("color", "mood", "day"))
    return rng.choice([f"In the {place} {a(mood)} {who} {did} {a(thing)} that was {color}.", f"The {who}, {mood} as ever, {did} {a(color)} {thing}.",
                       f"{cap(a(thing))} is a kind of {KIND_OF[thing]}.", f"On {day} {rng.choice(PEOPLE)} went to the {place} with the {who}."])


def _nature(rng):
    c, food, home, gives = rng.choice(W["nature"]["creature"])
    source, product = rng.choice(W["nature"]["makes"])
    tool, use = rng.choice(W["nature"]["used"])
    x, y, sign = rng.choice(W["nature"]["relation"])
    kind = rng.choice(list(W["kinds"]))
    more, less = ("more", "less") if sign == "+" else ("less", "more")
    return rng.choice([f"{cap(c)} like {food} best.", f"You find {c} in {home}.", f"{cap(gives)} come from {c}.",
                       f"{cap(product)} comes from {source}.", f"{cap(tool)} is for {use}.", f"For {use} one takes {tool}.",
                       f"As {x} goes up, we see {more} {y}.", f"With little {x} we see {less} {y}.", f"{cap(x)} brings {more} {y}.",
                       f"Every {rng.choice(W['kinds'][kind])} is {a(kind)}.", f"The favorite food of {c} is {food}.", f"The home of {c} is in {home}.", f"{cap(home)} suit {c}."])


def _event(rng):
    cause, effect = rng.choice(W["cause"]["event"])
    role, act = rng.choice(W["cause"]["role"])
    name = rng.choice(PEOPLE)
    return rng.choice([f"{cap(cause.format(p=name))}, so {effect.format(p=name)}.", f"{cap(effect.format(p=name))} because {cause.format(p=name)}.",
                       f"Every day the {role} {act}.", f"The one who {act} is the {role}."])


def _sense(rng):
    word = rng.choice(list(SENSES))
    sense = rng.choice(list(SENSES[word]))
    clause = rng.choice(SENSES[word][sense][3:]).format(p=rng.choice(PEOPLE))
    return f"{cap(clause)}, and that {word} belongs to the {sense}."


def _vocabulary(rng):
    w, (x, y) = rng.choice(WORDS), rng.choice(MEANING)
    name = rng.choice(PEOPLE)
    return rng.choice([f"{name} wrote {w} on the board and the class read {w}.", f"The word {w} stands on the sign: {w}.",
                       f"Say {w} again, said {name}. {cap(w)}, said the class.", f"For {x} some people say {y}."])


def _agreement(rng):
    who = rng.choice(PEOPLE + ["The " + x for g in ("he", "she", "they") for x in W["people"][g]])
    bare = who.replace("The ", "")
    one = "themselves" if bare in W["people"]["they"] else {"male": "himself", "female": "herself"}[gender(bare)]
    return f"{who} {rng.choice(W['acts']['reflexive'])} {one} on {rng.choice(W['scene']['day'])}."


PLAIN = [_scene, _nature, _event, _sense, _vocabulary, _agreement]


def text(rng: random.Random) -> str:
    """A paragraph of two to four plain sentences, for span corruption."""
    return " ".join(rng.choice(PLAIN)(rng) for _ in range(rng.randint(2, 4)))


# --- skills ----------------------------------------------------------------------------------------------------------
def _ask(rng, first: str, second: str, question: str) -> str:
    """Two texts and, at times, a question, under field names of ever-changing kinds."""
    x, y = rng.choice(FIELDS)
    both = rng.choice([f"{x}: {first} {y}: {second}", f"{x} = {first} ; {y} = {second}", f"{first} | {second}", f"{first} // {second}"])
    return rng.choice([f"{both} {question}", f"{question} {both}"])


def _opinion(rng):
    good, domain = rng.random() < .5, rng.choice(["film", "item"])
    p, q = (lambda: adjective(rng, good, domain)), (lambda: adjective(rng, not good, domain))
    x, part = rng.choice(W["opinion"][domain]), rng.choice(W["opinion"][domain + "_part"])
    act = rng.choice(W["opinion"]["praise" if good else "blame"])
    review = rng.choice([
        f"{rng.choice(PEOPLE)} {act} the {x}.", f"this {x} has {a(p())} {part}.", f"I find the {x} {p()}, not {q()}.", f"in the end the {x} was {p()}, though its {part} was {q()}.",
        f"people say it is {q()}, but I say it is {p()}.", f"nothing about the {x} is {q()}.", f"so {p()}! and such {a(p())} {part}!",
        f"{p()} {part}, {p()} {x}.", f"the {x} was {p()} even if the {part} seemed {q()}.", f"it is hardly {q()}.",
        f"although some call it {q()}, I call it {p()}.", f"the {part} was never {q()} to me.", f"nobody I know finds it {q()}.", f"{p()} despite all we heard.",
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
         [f"There was {a(who)} in the {place}.", f"{cap(a(KIND_OF[thing]))} was {color}.", f"Somebody {did} {a(thing)}.", f"It was {a(mood)} {who} who {did} it."],
         [f"All this was on {day}.", f"The {other} knew of it.", f"The {thing} was for the {other}.", f"The {who} often sees the {place}."],
         [f"The {thing} was {wrong}.", f"It was {a(other)} who {did} it.", f"All this was in the {far}.", f"The {who} {undid} it."]),
        (f"{cap(one)} stay in {home} and want {food}; {two} stay in {home2} and want {food2}.",
         [f"{cap(one)} want {food}.", f"In {home2} there are {two}."], [f"{cap(one)} stay with {two} on {day}."],
         [f"{cap(one)} want {food2}.", f"In {home} there are {two}."]),
        (f"{buyer} took over {sold} for {n} million on {day}, says a paper in {city}.",
         [f"{sold} went to {buyer}.", f"The price was {n} million.", f"It was {day}.", f"The paper is in {city}."], [f"The {who} of {buyer} was {mood}."],
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
    story = rng.choice([f"The {one[0]} and the {two[0]} talk, but {means[1]} {means[2]} {mood}.", f"On {day} the {one[0]} wrote to the {two[0]}, since {means[1]} {means[2]} {mood}."])
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
    name, (place, far), (day, late) = rng.choice(PEOPLE), draw(rng, W["scene"]["place"], 2), draw(rng, W["scene"]["day"], 2)
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
        (f"HE: I go by {v1} to the {place} on {day}. SHE: I go by {v2} to the {far} on {late}. how does {he} go", f"by {v1 if he == 'he' else v2}", [f"by {v2 if he == 'he' else v1}", f"by {v3}"]),
        (f"HE: on {day} I see the {place}, by {v1}. SHE: on {late} I see the {far}, by {v2}. when does {he} go", f"on {day if he == 'he' else late}", [f"on {late if he == 'he' else day}", f"on {draw(rng, W['scene']['day'], 1, [day, late])[0]}"]),
        (f"HE: on {day} I take the {v1} to the {place}. SHE: I see the {far} on {late}. where does {he} go", f"to the {place if he == 'he' else far}", [f"to the {far if he == 'he' else place}", f"to the {draw(rng, W['scene']['place'], 1, [place, far])[0]}"]),
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
    sentence = _agreement(rng)
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
SHARE = {"opinion": 3, "inference": 5, "paraphrase": 5, "sense": 2, "reference": 2, "choice": 7, "agreement": 2}


def skill(rng: random.Random, name: str | None = None) -> tuple[str, str, str]:
    """One (skill, input, target) item; the target lacks its leading sentinel."""
    name = name or rng.choices(list(SHARE), list(SHARE.values()))[0]
    question, answer = SKILLS[name](rng)
    return name, question.strip(), answer
