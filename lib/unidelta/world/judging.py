"""Skills that judge their texts: opinion, inference, paraphrase, word sense, reference, agreement.

See `unidelta.world.skills`.
"""

from unidelta.world import KIND_OF, PEOPLE, SENSES, THINGS, W, a, adjective, cap, draw, ways
from unidelta.world.corpus import FUNCTION_WORDS, agreement

# texts, ways to ask as (question, answers), index of the right answer
Ask = tuple[list[str], list[tuple[str, tuple[str, ...]]], int]


def opinion(rng, worded=True) -> Ask:
    good, domain = rng.random() < .5, rng.choice(["film", "item"])
    p, q = (lambda: adjective(rng, good, domain)), (lambda: adjective(rng, not good, domain))
    if rng.random() < .2:  # the worth of single words; without it no review can be read
        return [p()], [("praise or blame?", ("praise", "blame"))], 0 if good else 1
    x, (part, part2) = rng.choice(W["opinion"][domain]), draw(rng, W["opinion"][domain + "_part"], 2)
    sides = ("praise", "blame") if good else ("blame", "praise")
    act, other = (rng.choice(W["opinion"][side]) for side in sides)
    who, kin = rng.choice(PEOPLE), rng.choice(W["people"]["family"])
    city, day = rng.choice(W["scene"]["city"]), rng.choice(W["scene"]["day"])
    review = rng.choice([
        f"{who} {act} the {x}.", f"this {x} has {a(p())} {part}.", f"I find the {x} {p()}, not {q()}.",
        f"in the end the {x} was {p()}, though its {part} was {q()}.", f"{cap(p())} as a {x} can be.",
        f"what I got is {a(p())} {x}", f"people say it is {q()}, but I say it is {p()}.",
        f"nothing about the {x} is {q()}.", f"so {p()}! and such {a(p())} {part}!", f"{p()} {part}, {p()} {x}.",
        f"the {x} was {p()} even if the {part} seemed {q()}.", f"it is hardly {q()}.",
        f"although some call it {q()}, I call it {p()}.", f"the {part} was never {q()} to me.",
        f"nobody I know finds it {q()}.", f"{p()} despite all we heard.", f"not {q()} but {p()}, and yet {p()} again.",
        f"no one would say that its {part} is {q()}", f"how {p()} this {x} is !",
        f"{who} feared it would be {q()} ; it was {p()} .", f"yet for all its {q()} {part} it stays {p()} .",
        f"My {kin} {act} it, {part} and all.", f"at first {q()}, then {p()} to the end",
        f"We {act} the {part}. We {act} the {x}.", f"reviewers in {city} {act} this {p()} {x} and its {part} .",
        f"On {day} my {kin} {act} the {part} of our {x}.",
        f"One hears it is {q()}. It is not. My {kin} thinks the {part} {p()}.", f"Its {part}? Not {q()}, not at all.",
        f"who would call the {part} {q()} ? {p()} is the word for it .", f"its {part} and its {part2} make it {p()}",
        f"It came on {day}. {cap(p())} {part}, and {a(p())} {part2} too.", f"{who} {act} what others {other}.",
        f"even the {q()} {part2} does not spoil {a(p())} {x} .", f"{act} by {who}, for its {part} is {p()}",
        f"we {'feared' if good else 'hoped for'} {a(q())} {x} and had {a(p())} one"])
    parts = [review if not worded or rng.random() < .5 else ways.review(rng, p, q, x, part, act)]
    if rng.random() < .4:
        parts.insert(0, rng.choice([f"About the {x}", f"The {x} of my {kin}", f"{who} writes from {city}",
                                        f"{cap(a(p()))} thing", f"Our {x}, {p()}", f"{day}"]))
    asks = [("", ("yes", "no")), ("would you take it again?", ("yes", "no")), ("thumb?", ("up", "down")),
            ("how many stars?", ("five", "one")), ("did they like it?", ("they did", "they did not")),
            ("face?", ("smile", "frown"))]
    return parts, asks, 0 if good else 1


def inference(rng, worded=True, deals: bool = False) -> Ask:
    """Ask whether a claim follows from a fact, may hold or cannot hold.

    Facts and claims about a scene or about animals share their words. With `deals`, they are about a takeover, where
    names, days, places and prices must be compared.
    """
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
    # a fact and a claim may say the same in different words
    eat, ate = rng.choices(["want", "love", "hunt for", "eat", "feed on", "look for", "need", "enjoy", "thrive on"],
                           k=2)
    stay, stayed = rng.choices(["stay in", "live in", "sleep in", "keep to", "rest in"], k=2)
    # each: a fact, what follows from it, what may hold, what cannot hold
    scene = (
        rng.choice([f"In the {place}, {a(mood)} {who} {did} {a(color)} {thing}.",
                    f"It is in the {place} that {a(mood)} {who} {did} {a(color)} {thing}.",
                    f"{cap(a(color))} {thing} in the {place} is what {a(mood)} {who} {did}."]),
        [f"There was {a(who)} in the {place}.", f"{cap(a(KIND_OF[thing]))} was {color}.",
         f"Somebody {did} {a(thing)}.", f"It was {a(mood)} {who} who {did} it.", f"Someone was {mood}.",
         f"{cap(a(who))} {did} something {color}."],
        [f"All this was on {day}.", f"The {other} knew of it.", f"The {thing} was for the {other}.",
         f"The {who} often sees the {place}.", f"The {who} and the {other} are friends.", f"It was {day} in {city}."],
        [f"The {thing} was {wrong}.", f"It was {a(other)} who {did} it.", f"All this was in the {far}.",
         f"The {who} {undid} it.", f"Nobody {did} any {thing}.", f"No {who} was there.",
         f"The {who} {undid} {a(color)} {thing}."])
    nature = (
        rng.choice([f"{cap(one)} {stay} {home} and {eat} {food}; {two} {stay} {home2} and {eat} {food2}.",
                    f"What {one} {eat} is {food}, and they {stay} {home}.",
                    f"In {home}, writes {a(who)}, {one} {eat} {food}.",
                    f"It is said in {city} that {one} {eat} {food} as they {stay} {home}.",
                    f"{cap(food)} are what the {one} of these {home} {eat}."]),
        [f"{cap(one)} {ate} {food}.", f"In {home} there are {one}.", f"{cap(food)} is good for {one}.",
         f"{cap(one)} {stayed} {home}."],
        [f"{cap(one)} stay with {two} on {day}.", f"{cap(one)} {ate} {food2}.", f"In {home2} there are {one}.",
         f"{cap(food2)} is good for {one}.", f"{cap(one)} {stayed} {home2}."],
        [f"{cap(one)} never {ate} {food}.", f"No {one} {stayed} {home}.", f"{cap(food)} is bad for {one}."])
    deal = (
        rng.choice([f"{buyer} took over {sold} for {n} million on {day}, says a paper in {city}.",
                    f"A paper in {city} says that {buyer} had {sold} for {n} million, on {day}.",
                    f"{n} million: that is what {buyer}, of {city}, gave for {sold} this {day}.",
                    f"{sold} belongs to {buyer} of {city} since {day}; the price was {n} million.",
                    f"{buyer} of {city} made {sold} its own on {day}. It took {n} million.",
                    f"{day} in {city}: {buyer} of this city took its rival {sold}, at {n} million."]),
        [f"{sold} went to {buyer}.", f"The price was {n} million.", f"It was {day}.", f"This has to do with {city}.",
         f"{buyer} owns {sold}.", f"{day} was the day.", f"{buyer} is in {city}.", f"{sold} changed hands on {day}.",
         f"{buyer} made a deal on {day}.", f"the owner of {sold} is {buyer}", f"{buyer} calls {city} its home.",
         f"{sold} got a new owner on {day}.", f"{sold} works for {buyer} today.", f"{day} was good for {buyer}.",
         f"{buyer} holds {sold}.", f"One finds {buyer} in {city}."],
        [f"The {who} of {buyer} was {mood}.", f"{buyer} has {a(mood)} {who}.", f"{third} saw it."],
        [f"{buyer} went to {sold}.", f"The price was {m} million.", f"It was {late}.", f"{town} is the place of it.",
         f"{third} owns {sold}.", f"{late} was the day.", f"{buyer} is in {town}.", f"{sold} changed hands on {late}.",
         f"{buyer} made a deal on {late}.", f"the owner of {sold} is {third}", f"{buyer} calls {town} its home.",
         f"{sold} got a new owner on {late}.", f"{sold} works for {third} today.", f"{late} was good for {buyer}.",
         f"{third} holds {sold}.", f"One finds {buyer} in {town}."])
    if not worded or rng.random() < .35:
        fact, *claims = deal if deals else rng.choice([scene, nature])
    elif deals:
        fact, *claims = ways.deal(rng, buyer, sold, third, n, m, city, town, day, late)
    elif rng.choice(["scene", "nature"]) == "scene":
        fact, *claims = ways.scene(rng, who, other, mood, did, undid, color, wrong, thing, place, far)
    else:
        fact, *claims = ways.nature(rng, one, food, home, two, food2, home2)
    label = rng.randrange(3)
    asks = [("", ("yes", "maybe", "no")), ("is it so?", ("yes", "maybe", "no")),
            ("how sure?", ("certain", "possible", "impossible")),
            ("does it follow?", ("it follows", "who knows", "it fails"))]
    return [fact, rng.choice(claims[label])], asks, label


def paraphrase(rng, worded=True) -> Ask:
    """Ask whether two sentences say the same. They differ in one thing at most, but may use synonyms.

    Some pairs are built alike: these are easier, and comparing is learnt from them. Others begin with words that say
    nothing, drawn at random, so that the rest is what must be compared.
    """
    scene, same, alike = W["scene"], rng.random() < .5, rng.random() < .4
    pools = {"v": scene["synonym"], "x": THINGS, "c": scene["city"], "d": scene["day"]}
    frame = {k: rng.choice(pool) for k, pool in pools.items()}
    slots = rng.sample(list(pools), rng.randint(1, 4))
    slot = rng.choice(slots)
    other = frame if same else frame | {slot: draw(rng, pools[slot], 1, [frame[slot]])[0]}
    past, who = rng.random() < .5, rng.choice(W["people"]["job"])
    if past:
        starts = [f"someone, the {who}, {{}}", f"that {who} {{}}", f"this is the {who} who {{}}",
                  f"one says the {who} {{}}"]
    else:
        starts = ["can one {}", "how to {}", "I wish to {}", "please {}", "who can {}", "when may we {}",
                  "the art to {}", "is it hard to {}"]

    def plan():  # how a sentence begins, the order of its parts, whether its last part moves to the front
        idle = " ".join(rng.choices(FUNCTION_WORDS, k=rng.randint(1, 6))) + " {}"
        start = rng.choice([rng.choice(starts), idle])
        order = rng.sample([s for s in slots if s != "v"], len(slots) - ("v" in slots))
        return start, order, rng.random() < .4

    def say(f, i, start, order, turned):
        near = "was near" if past else "be near"
        verb = f["v"][i + past] if "v" in slots else near
        rest = {"x": a(f["x"]), "c": "in " + f["c"], "d": "on " + f["d"]}
        parts = sorted((rest[s] for s in order), key=lambda p: not p.startswith("a"))
        front = parts.pop() + rng.choice([" ", " , ", ", "]) if len(parts) > 1 and turned else ""
        text = cap(front + " ".join([start.format(verb), *parts]))
        return text + rng.choice(["", "", " .", "." if past else "?"])

    (p, q), first, second = rng.sample([0, 2], 2), plan(), plan()
    if alike:
        q, second = rng.choice([p, q]), first
    new = {"v": other["v"][q + past], "x": a(other["x"]), "c": other["c"], "d": other["d"]}[slot]
    reason = {"v": "other act", "x": "other thing", "c": "other city", "d": "other day"}[slot]
    asks = [("", ("yes", "no")), ("alike?", ("alike", reason)), ("what differs?", ("nothing", reason)),
            ("are both one?", ("yes", "no")), ("what is new?", ("nothing new", new))]
    return [say(frame, p, *first), say(other, q, *second)], asks, 0 if same else 1


def word_sense(rng, worded=True) -> Ask:
    word = rng.choice(list(SENSES))
    one, two = draw(rng, SENSES[word], 2)
    same = rng.random() < .5

    def say(sense):
        start = rng.choice(["", "", "now ", "they say "])
        clause = rng.choice(SENSES[word][sense][3:]).format(p=rng.choice(PEOPLE))
        return cap(start + clause) + rng.choice(["", "."])

    if rng.random() < .3:
        return [say(one)], [(f"what is {word} here?", (one,))], 0
    parts = [say(one), say(one if same else two)]
    parts.insert(rng.choice([0, 0, 2]), word)
    asks = [("", ("yes", "no")), (f"is {word} one thing?", ("yes", "no")), ("how many things?", ("one", "two"))]
    return parts, asks, 0 if same else 1


def reference(rng, worded=True) -> Ask:
    he, she, they = (rng.choice(W["people"][g]) for g in ("he", "she", "they"))
    one, two = rng.sample([(he, "he", "is", "was"), (she, "she", "is", "was"), (they, "they", "are", "were")], 2)
    means, other = rng.sample([one, two], 2)
    mood, day, place = (rng.choice(W["scene"][k]) for k in ("mood", "day", "place"))
    tense = rng.choice([2, 3])
    be = means[tense]
    story = rng.choice([f"The {one[0]} and the {two[0]} {'talk' if tense == 2 else 'talked'}, "
                        f"but {means[1]} {be} {mood}.",
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
    asks = [("", ("yes", "no")), ("is it so?", ("yes", "no")), ("one and the same?", ("yes", "no"))]
    return parts, asks, 0 if asked is means else 1


def reflexive(rng, worded=True) -> Ask:
    sentence = agreement(rng)
    pronouns = ("themselves", "himself", "herself")
    one = next(w for w in pronouns if w in sentence)
    wrong = rng.choice([w for w in pronouns if w != one])
    if rng.random() < .3:
        return [sentence.replace(one, "<extra_id_0>")], [("", (one,))], 0
    good, bad = rng.random() < .5, sentence.replace(one, wrong)
    right = 0 if good else 1
    if rng.random() < .4:
        return [sentence if good else bad], [("well said?", ("yes", "no"))], right
    asks = [("", ("the former", "the latter")), ("which is well said?", ("the former", "the latter"))]
    return [sentence, bad] if good else [bad, sentence], asks, right
