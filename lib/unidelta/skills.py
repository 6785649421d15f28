"""The skills behind the tasks, asked in other words: the supervised part of the embedded backbone's pre-training.

A skill is an (input, target) pair in which the target follows from the input. Skills are asked with questions and answer words of
their own; no prompt, no label word (but for boolq's yes and no) and no sentence template of a stand-in occurs here as a question
or as an answer. A chosen option is wrapped in a few words unless a cue asks for it alone, and no stand-in has that cue: untuned, the
backbone says "it is ...", which no task counts as right.

Each skill draws its texts, the ways to ask about them as (question, answers) with the right answer's index, and leaves the
prompt to `unidelta.prompts`. Where the question "" is among the ways, the texts speak for themselves.
"""

import random
from functools import partial

from unidelta import prompts
from unidelta.corpus import FUNCTION_WORDS, LEXICON, agreement
from unidelta.world import KIND_OF, PEOPLE, SENSES, THINGS, W, a, adjective, cap, draw

Ask = tuple[list[str], list[tuple[str, tuple[str, ...]]], int]  # texts, ways to ask, index of the right answer
Pick = tuple[str, str, list[str]]  # question, answer, what else could be offered


def _opinion(rng) -> Ask:
    good, domain = rng.random() < .5, rng.choice(["film", "item"])
    p, q = (lambda: adjective(rng, good, domain)), (lambda: adjective(rng, not good, domain))
    if rng.random() < .2:  # what single words are worth, without which no review can be read
        return [p()], [("praise or blame?", ("praise", "blame"))], 0 if good else 1
    x, (part, part2) = rng.choice(W["opinion"][domain]), draw(rng, W["opinion"][domain + "_part"], 2)
    act, other = (rng.choice(W["opinion"][side]) for side in (("praise", "blame") if good else ("blame", "praise")))
    who, kin, city, day = rng.choice(PEOPLE), rng.choice(W["people"]["family"]), rng.choice(W["scene"]["city"]), rng.choice(W["scene"]["day"])
    review = rng.choice([
        f"{who} {act} the {x}.", f"this {x} has {a(p())} {part}.", f"I find the {x} {p()}, not {q()}.",
        f"in the end the {x} was {p()}, though its {part} was {q()}.", f"{cap(p())} as a {x} can be.", f"what I got is {a(p())} {x}",
        f"people say it is {q()}, but I say it is {p()}.", f"nothing about the {x} is {q()}.", f"so {p()}! and such {a(p())} {part}!",
        f"{p()} {part}, {p()} {x}.", f"the {x} was {p()} even if the {part} seemed {q()}.", f"it is hardly {q()}.",
        f"although some call it {q()}, I call it {p()}.", f"the {part} was never {q()} to me.", f"nobody I know finds it {q()}.",
        f"{p()} despite all we heard.", f"not {q()} but {p()}, and yet {p()} again.", f"no one would say that its {part} is {q()}",
        f"how {p()} this {x} is !", f"{who} feared it would be {q()} ; it was {p()} .", f"yet for all its {q()} {part} it stays {p()} .",
        f"My {kin} {act} it, {part} and all.", f"at first {q()}, then {p()} to the end", f"We {act} the {part}. We {act} the {x}.",
        f"reviewers in {city} {act} this {p()} {x} and its {part} .", f"On {day} my {kin} {act} the {part} of our {x}.",
        f"One hears it is {q()}. It is not. My {kin} thinks the {part} {p()}.", f"Its {part}? Not {q()}, not at all.",
        f"who would call the {part} {q()} ? {p()} is the word for it .", f"its {part} and its {part2} make it {p()}",
        f"It came on {day}. {cap(p())} {part}, and {a(p())} {part2} too.", f"{who} {act} what others {other}.",
        f"even the {q()} {part2} does not spoil {a(p())} {x} .", f"{act} by {who}, for its {part} is {p()}",
        f"we hoped for {a(q())} {x} and had {a(p())} one" if not good else f"we feared {a(q())} {x} and had {a(p())} one"])
    parts = [review]
    if rng.random() < .4:
        parts.insert(0, rng.choice([f"About the {x}", f"The {x} of my {kin}", f"{who} writes from {city}",
                                        f"{cap(a(p()))} thing", f"Our {x}, {p()}", f"{day}"]))
    return parts, [("", ("yes", "no"))] + [
        ("would you take it again?", ("yes", "no")), ("thumb?", ("up", "down")), ("how many stars?", ("five", "one")),
        ("did they like it?", ("they did", "they did not")), ("face?", ("smile", "frown"))], 0 if good else 1


def _inference(rng, deals: bool = False) -> Ask:
    """A fact and a claim: of a scene or of animals, which share their words, or of `deals`, where names, days, places and prices must be compared."""
    who, other = draw(rng, W["people"]["job"], 2)
    color, wrong = draw(rng, W["scene"]["color"], 2)
    place, far = draw(rng, W["scene"]["place"], 2)
    day, late = draw(rng, W["scene"]["day"], 2)
    thing, mood = rng.choice(THINGS), rng.choice(W["scene"]["mood"])
    did, undid = rng.sample(rng.choice(W["scene"]["opposite"]), 2)
    (one, food, home, _), (two, food2, home2, _) = draw(rng, W["nature"]["creature"], 2)
    buyer, sold, third = draw(rng, W["scene"]["company"], 3)
    n, m = draw(rng, W["scene"]["number"], 2)
    city, town = draw(rng, W["scene"]["city"], 2)
    # a fact and a claim may say the same in other words
    (eat, ate), (stay, stayed) = (rng.choices(verbs, k=2) for verbs in (
        ["want", "love", "hunt for", "eat", "feed on", "look for", "need", "enjoy", "thrive on"], ["stay in", "live in", "sleep in", "keep to", "rest in"]))
    scene, nature, deal = (
        (rng.choice([f"In the {place}, {a(mood)} {who} {did} {a(color)} {thing}.", f"It is in the {place} that {a(mood)} {who} {did} {a(color)} {thing}.",
                     f"{cap(a(color))} {thing} in the {place} is what {a(mood)} {who} {did}."]),
         [f"There was {a(who)} in the {place}.", f"{cap(a(KIND_OF[thing]))} was {color}.", f"Somebody {did} {a(thing)}.",
          f"It was {a(mood)} {who} who {did} it.", f"Someone was {mood}.", f"{cap(a(who))} {did} something {color}."],
         [f"All this was on {day}.", f"The {other} knew of it.", f"The {thing} was for the {other}.", f"The {who} often sees the {place}.",
          f"The {who} and the {other} are friends.", f"It was {day} in {city}."],
         [f"The {thing} was {wrong}.", f"It was {a(other)} who {did} it.", f"All this was in the {far}.", f"The {who} {undid} it.",
          f"Nobody {did} any {thing}.", f"No {who} was there.", f"The {who} {undid} {a(color)} {thing}."]),
        (rng.choice([f"{cap(one)} {stay} {home} and {eat} {food}; {two} {stay} {home2} and {eat} {food2}.",
                     f"What {one} {eat} is {food}, and they {stay} {home}.", f"In {home}, writes {a(who)}, {one} {eat} {food}.",
                     f"It is said in {city} that {one} {eat} {food} as they {stay} {home}.", f"{cap(food)} are what the {one} of these {home} {eat}."]),
         [f"{cap(one)} {ate} {food}.", f"In {home} there are {one}.", f"{cap(food)} is good for {one}.", f"{cap(one)} {stayed} {home}."],
         [f"{cap(one)} stay with {two} on {day}.", f"{cap(one)} {ate} {food2}.", f"In {home2} there are {one}.", f"{cap(food2)} is good for {one}.",
          f"{cap(one)} {stayed} {home2}."],
         [f"{cap(one)} never {ate} {food}.", f"No {one} {stayed} {home}.", f"{cap(food)} is bad for {one}."]),
        (rng.choice([f"{buyer} took over {sold} for {n} million on {day}, says a paper in {city}.",
                     f"A paper in {city} says that {buyer} had {sold} for {n} million, on {day}.",
                     f"{n} million: that is what {buyer}, of {city}, gave for {sold} this {day}.",
                     f"{sold} belongs to {buyer} of {city} since {day}; the price was {n} million.",
                     f"{buyer} of {city} made {sold} its own on {day}. It took {n} million.",
                     f"{day} in {city}: {buyer} of this city took its rival {sold}, at {n} million."]),
         [f"{sold} went to {buyer}.", f"The price was {n} million.", f"It was {day}.", f"This has to do with {city}.",
          f"{buyer} owns {sold}.", f"{day} was the day.", f"{buyer} is in {city}.", f"{sold} changed hands on {day}.",
          f"{buyer} made a deal on {day}.", f"the owner of {sold} is {buyer}", f"{buyer} calls {city} its home.", f"{sold} got a new owner on {day}.",
          f"{sold} works for {buyer} today.", f"{day} was good for {buyer}.", f"{buyer} holds {sold}.", f"One finds {buyer} in {city}."],
         [f"The {who} of {buyer} was {mood}.", f"{buyer} has {a(mood)} {who}.", f"{third} saw it."],
         [f"{buyer} went to {sold}.", f"The price was {m} million.", f"It was {late}.", f"{town} is the place of it.",
          f"{third} owns {sold}.", f"{late} was the day.", f"{buyer} is in {town}.", f"{sold} changed hands on {late}.",
          f"{buyer} made a deal on {late}.", f"the owner of {sold} is {third}", f"{buyer} calls {town} its home.", f"{sold} got a new owner on {late}.",
          f"{sold} works for {third} today.", f"{late} was good for {buyer}.", f"{third} holds {sold}.", f"One finds {buyer} in {town}."]))
    fact, sure, open_, never = deal if deals else rng.choice([scene, nature])
    label = rng.randrange(3)
    return [fact, rng.choice([sure, open_, never][label])], [
        ("", ("yes", "maybe", "no")), ("is it so?", ("yes", "maybe", "no")), ("how sure?", ("certain", "possible", "impossible")),
        ("does it follow?", ("it follows", "who knows", "it fails"))], label


def _paraphrase(rng) -> Ask:
    """Two sentences that differ in one thing at most, the words of which may be synonyms. Some pairs are built alike: the easier ones, from which
    comparing is learnt. Others begin with words that say nothing, drawn at random, so that what is compared is the rest."""
    scene, same, alike = W["scene"], rng.random() < .5, rng.random() < .4
    pools = {"v": scene["synonym"], "x": THINGS, "c": scene["city"], "d": scene["day"]}
    frame = {k: rng.choice(pool) for k, pool in pools.items()}
    slots = rng.sample(list(pools), rng.randint(1, 4))
    slot = rng.choice(slots)
    other = frame if same else frame | {slot: draw(rng, pools[slot], 1, [frame[slot]])[0]}
    past, who = rng.random() < .5, rng.choice(W["people"]["job"])
    starts = [f"someone, the {who}, {{}}", f"that {who} {{}}", f"this is the {who} who {{}}", f"one says the {who} {{}}"] if past else \
        [start + " {}" for start in ("can one", "how to", "I wish to", "please", "who can", "when may we", "the art to", "is it hard to")]

    def plan():  # how a sentence begins, the order of its parts, whether the last part comes first
        idle = " ".join(rng.choices(FUNCTION_WORDS, k=rng.randint(1, 6))) + " {}"
        return rng.choice([rng.choice(starts), idle]), rng.sample([s for s in slots if s != "v"], len(slots) - ("v" in slots)), rng.random() < .4

    def say(f, i, start, order, turned):
        verb, rest = f["v"][i + past] if "v" in slots else ("was near" if past else "be near"), {"x": a(f["x"]), "c": "in " + f["c"], "d": "on " + f["d"]}
        parts = sorted((rest[s] for s in order), key=lambda p: not p.startswith("a"))
        front = parts.pop() + rng.choice([" ", " , ", ", "]) if len(parts) > 1 and turned else ""
        return cap(front + " ".join([start.format(verb), *parts])) + rng.choice(["", "", " .", "?" if not past else "."])
    (p, q), first, second = rng.sample([0, 2], 2), plan(), plan()
    if alike:
        q, second = rng.choice([p, q]), first
    new = {"v": other["v"][q + past], "x": a(other["x"]), "c": other["c"], "d": other["d"]}[slot]
    reason = {"v": "other act", "x": "other thing", "c": "other city", "d": "other day"}[slot]
    return [say(frame, p, *first), say(other, q, *second)], [
        ("", ("yes", "no")), ("alike?", ("alike", reason)), ("what differs?", ("nothing", reason)), ("are both one?", ("yes", "no")),
        ("what is new?", ("nothing new", new))], 0 if same else 1


def _word_sense(rng) -> Ask:
    word = rng.choice(list(SENSES))
    one, two = draw(rng, SENSES[word], 2)
    same = rng.random() < .5
    def say(sense):
        clause = rng.choice(["", "", "now ", "they say "]) + rng.choice(SENSES[word][sense][3:]).format(p=rng.choice(PEOPLE))
        return cap(clause) + rng.choice(["", "."])
    if rng.random() < .3:
        return [say(one)], [(f"what is {word} here?", (one,))], 0
    parts = [say(one), say(one if same else two)]
    parts.insert(rng.choice([0, 0, 2]), word)
    return parts, [("", ("yes", "no")), (f"is {word} one thing?", ("yes", "no")), ("how many things?", ("one", "two"))], 0 if same else 1


def _reference(rng) -> Ask:
    he, she, they = (rng.choice(W["people"][g]) for g in ("he", "she", "they"))
    one, two = rng.sample([(he, "he", "is", "was"), (she, "she", "is", "was"), (they, "they", "are", "were")], 2)
    means, other = rng.sample([one, two], 2)
    mood, day, place = (rng.choice(W["scene"][k]) for k in ("mood", "day", "place"))
    tense = rng.choice([2, 3])
    be = means[tense]
    story = rng.choice([f"The {one[0]} and the {two[0]} {'talk' if tense == 2 else 'talked'}, but {means[1]} {be} {mood}.",
                        f"On {day} the {one[0]} wrote to the {two[0]}, since {means[1]} {be} {mood}.",
                        f"The {one[0]} saw the {two[0]} when {means[1]} {be} in the {place}.",
                        f"In the {place} the {one[0]} waited for the {two[0]} until {means[1]} {be} {mood}.",
                        f"Near the {place} {one[2]} the {one[0]} with the {two[0]}, because {means[1]} {be} {mood}.",
                        f"The {one[0]} asked the {two[0]} why {means[1]} {be} so {mood}."])
    asked = rng.choice([means, other])
    noun = rng.choice(["the ", "The ", ""]) + asked[0]
    parts = [story, *rng.choice([(noun, means[1]), (noun, means[1]), (means[1], noun)])]
    if rng.random() < .3:
        return [story], [(f"who {be} it?", (f"the {means[0]}",))], 0
    return parts, [("", ("yes", "no")), ("is it so?", ("yes", "no")), ("one and the same?", ("yes", "no"))], 0 if asked is means else 1


# what a prompt's cue makes of the chosen option
FORMS = [*4 * [("", "it is {}")], *5 * [("just that!", "{}")], ("say it first!", "{} it is"), ("loud!", "{} !"), ("so?", "so {}"), ("twice!", "{} , {}")]


def _choice(rng) -> Pick:
    """What belongs together, what comes first, who goes where."""
    kind, *kinds = draw(rng, list(W["kinds"]), 8)
    creatures, makes, used, roles = (draw(rng, t, 8) for t in (W["nature"]["creature"], W["nature"]["makes"], W["nature"]["used"], W["cause"]["role"]))
    column, ask = rng.choice([(1, ["the food of {}", "{} eat", "which food suits {}", "what is eaten by {}", "what would {} like"]),
                              (2, ["the home of {}", "{} live in", "where to find {}", "in which spot {} stay", "where are {}"]),
                              (3, ["the gift of {}", "{} give us", "what comes from {}", "what have we from {}", "known for {}"])])
    (place, far), (day, late) = draw(rng, W["scene"]["place"], 2), draw(rng, W["scene"]["day"], 2)
    (cause, effect), *others = draw(rng, W["cause"]["event"], 8)
    side = rng.randrange(2)
    p, city = rng.choice(PEOPLE), rng.choice(W["scene"]["city"])
    he, v1, v2, v3 = rng.choice(["he", "she"]), *draw(rng, W["kinds"]["vehicle"], 3)
    role = rng.choice([f"{a(roles[0][0])} is one who", f"every day the {roles[0][0]}", f"{p} works as {a(roles[0][0])}, so {p}", f"being {a(roles[0][0])}, {p}",
                       f"On {day} we saw how the {roles[0][0]}", f"The {roles[0][0]} of {city}, as always,"])
    who = rng.choice([f"the one who {roles[0][1]}", f"who {roles[0][1]}", f"in {city} somebody {roles[0][1]}; that is"])
    words = draw(rng, LEXICON, 16)  # any word can be an option, and be found by its place
    any_, place_ = [" ".join(words[i:i + rng.choice([1, 1, 2, 3])]) for i in range(0, 16, 2)], rng.choice(["first", "last"])
    return rng.choice([
        (place_, any_[0], any_[1:]), (f"the {place_} of these", any_[0], any_[1:]),
        (rng.choice(ask).format(creatures[0][0]), creatures[0][column], [c[column] for c in creatures[1:]]),
        (rng.choice(["who likes {}", "animals that eat {}", "which ones feed on {}"]).format(creatures[0][1]), creatures[0][0], [c[0] for c in creatures[1:]]),
        (rng.choice(["what comes from {}", "{} makes", "we owe this to {}", "what do we get from {}"]).format(makes[0][0]), makes[0][1],
         [m[1] for m in makes[1:]]),
        (rng.choice(["the purpose of {}", "{} is good for", "why take {}", "what to do with {}"]).format(used[0][0]), used[0][1], [u[1] for u in used[1:]]),
        (rng.choice(["for {} take", "somebody wants help with {} and needs", "what helps with {}"]).format(used[0][1]), used[0][0], [u[0] for u in used[1:]]),
        (rng.choice(["find {}", "one of them is {}", "which is {}", "{} is needed"]).format(a(kind)), rng.choice(W["kinds"][kind]),
         [rng.choice(W["kinds"][k]) for k in kinds]),
        (role, roles[0][1], [r[1] for r in roles[1:]]), (role, roles[0][1], [r[1] for r in roles[1:]]), (who, roles[0][0], [r[0] for r in roles[1:]]),
        *2 * [((cause, effect)[side].format(p=p) + rng.choice([", and ", ": ", "", "."]), (effect, cause)[side].format(p=p),
               [o[1 - side].format(p=p) for o in others])],
        (f"HE: I go by {v1} to the {place} on {day}. SHE: I go by {v2} to the {far} on {late}. how does {he} go",
         f"by {v1 if he == 'he' else v2}", [f"by {v2 if he == 'he' else v1}", f"by {v3}"]),
        (f"HE: on {day} I see the {place}, by {v1}. SHE: on {late} I see the {far}, by {v2}. when does {he} go",
         f"on {day if he == 'he' else late}",
         [f"on {late if he == 'he' else day}", f"on {draw(rng, W['scene']['day'], 1, [day, late])[0]}"]),
        (f"HE: on {day} I take the {v1} to the {place}. SHE: I see the {far} on {late}. where does {he} go",
         f"to the {place if he == 'he' else far}",
         [f"to the {far if he == 'he' else place}", f"to the {draw(rng, W['scene']['place'], 1, [place, far])[0]}"]),
    ])

def _relation(rng) -> Pick:
    """What goes up or down with what."""
    x, y, sign = rng.choice(W["nature"]["relation"])
    up, (many, few) = rng.random() < .5, rng.choice([("much", "little"), ("rising", "falling"), ("strong", "weak"), ("a lot", "a bit"),
                                                     ("rise", "fall"), ("big", "small"), ("great", "slight"), ("grow", "shrink"),
                                                     ("go up", "go down"), ("high", "low"),
                                                     ("more", "less"), ("higher", "lower"), ("increase", "decrease"), ("greater", "smaller")])
    right, wrong = (many, few) if up == (sign == "+") else (few, many)
    more = rng.choice(["increases", "rises", "is great", "climbs", "goes up"] if up else ["decreases", "falls", "is small", "drops", "goes down"])
    blank = rng.choice(["___", "_____", "...", "_", "____"])
    p, city, day = rng.choice(PEOPLE), rng.choice(W["scene"]["city"]), rng.choice(W["scene"]["day"])
    start = rng.choice(["", "", f"{p} reads of {x} in a book. ", f"In {city} they study the {y}. ", f"{day} is for science, says {p}. "])
    return start + rng.choice([
        f"{'much' if up else 'little'} {x}, so the {y} is", f"as {x} goes {'up' if up else 'down'}, {y} is", f"the {x} {more} and then the {y} {blank}",
        f"{p} of {city} sees that {x} {more}, so {y} seems", f"where {x} {more}, {p} looks for {blank} {y}", f"{y} when {x} {more}",
        f"The {x} in {city} {more}. This makes {y} {blank}", f"With {x} that {more} one has {blank} {y}",
        f"{'more' if up else 'less'} {x} brings {blank} {y}", f"the {'higher' if up else 'lower'} the {x}, the {blank} the {y}",
        f"{'high' if up else 'low'} {x}, {city} knows, means {blank} {y}", f"{y} will be {blank}, for {x} gets {'higher' if up else 'lower'}",
        f"after {'an increase' if up else 'a decrease'} in {x} the {y} will {blank}", f"{p} has {'more' if up else 'less'} {x} and looks for {blank} {y}"]
    ), right, [wrong]


def _offer(rng, pick: Pick, dress: bool) -> tuple[str, str]:
    """A question with one answer, sometimes asked openly, mostly with options set apart in ever-changing ways."""
    question, answer, rest = pick
    cue, form = rng.choice(FORMS)
    at = {"first": 0, "last": -1}.get(question.split(" of")[0].removeprefix("the "))
    if not dress and at is None and len(rest) > 1 and rng.random() < .2:
        return f"{question}? {cue}", form.format(*[answer] * 2)
    options = [answer, *rng.sample(rest, min(len(rest), rng.choice([1, 1, 2, 3, 3, 4, 7])))]
    rng.shuffle(options)
    answer = answer if at is None else options[at]
    if dress and rng.random() < .6:  # as sentences: with a capital, a stop, or both, which the answer keeps
        first, stop = rng.choice([(cap, "."), (cap, "."), (str, "."), (cap, "")])
        options, answer, question = [first(o) + stop for o in options], first(answer) + stop, cap(question)
    text = prompts.listed(rng, options, dress and rng.random() < .8)
    if dress and rng.random() < .5:
        asked = f"{question}{rng.choice(['', '?', ' ?', '.'])} {text}"
        asked = prompts.dressed(rng, [asked], cue)
    elif dress:
        asked = prompts.dressed(rng, [question, text], cue)
    else:
        asked = rng.choice([f"{question} {text}", f"{question}? {text}", f"{text} : {question}"])
        asked = rng.choice([f"{asked} {cue}", f"{cue} {asked}"])
    return asked, form.format(*[answer] * 2)


def _reflexive(rng) -> Ask:
    sentence = agreement(rng)
    one = next(w for w in ("themselves", "himself", "herself") if w in sentence)
    wrong = rng.choice(["himself", "herself"]) if one == "themselves" else "themselves"
    if rng.random() < .3:
        return [sentence.replace(one, "<extra_id_0>")], [("", (one,))], 0
    good = rng.random() < .5
    if rng.random() < .4:
        return [sentence if good else sentence.replace(one, wrong)], [("well said?", ("yes", "no"))], 0 if good else 1
    pair = [sentence, sentence.replace(one, wrong)]
    return pair if good else pair[::-1], [("", ("the former", "the latter")), ("which is well said?", ("the former", "the latter"))], 0 if good else 1


SKILLS = {"opinion": _opinion, "inference": _inference, "deal": partial(_inference, deals=True), "paraphrase": _paraphrase, "sense": _word_sense,
          "reference": _reference, "choice": _choice, "relation": _relation, "agreement": _reflexive}
PICKS = ("choice", "relation")
# how often each skill is drawn; the three comparisons are learnt late, and only where they are met often enough: `COMPARED`
SHARE = {"opinion": 5, "inference": 5, "deal": 4, "paraphrase": 10, "sense": 3, "reference": 3, "choice": 10, "relation": 2, "agreement": 2}
COMPARED = {"paraphrase": 3, "deal": 2, "relation": 3}


def skill(rng: random.Random, name: str | None = None, dress: float = .7, rename: float = 0.0, compare: float = 0.0) -> tuple[str, str, str]:
    """One (skill, input, target) item; the target lacks its leading sentinel. dress: the share of items under a random prompt; rename: of
    those with answers to choose from, the share whose prompt gives these other names. How to word an answer is then a matter of the
    prompt, apart from the skill. compare: where no name is given, the share drawn from the comparisons alone."""
    share = COMPARED if rng.random() < compare else SHARE
    name = name or rng.choices(list(share), list(share.values()))[0]
    dresses = rng.random() < dress
    if name in PICKS:
        question, answer = _offer(rng, SKILLS[name](rng), dresses)
        return name, question.strip(), answer
    parts, ways, right = SKILLS[name](rng)
    bare = [way for way in ways if way[0] == ""]
    question, answers = rng.choice(bare) if dresses and bare and rng.random() < .7 else rng.choice(ways)
    if len(answers) > 1 and rng.random() < rename:
        names, answers = prompts.renamed(rng, answers)
        question = rng.choice([f"{question} {names}", f"{names} {question}"]).strip()
    return name, (prompts.dressed if dresses else prompts.plain)(rng, parts, question).strip(), answers[right]
