"""Stand-ins that judge one text: sentiment, emotion, tone, stance, truth, form.

For the hate-speech sets there are rude and polite remarks, none of them worse than "your plot is dull".
"""
from unidelta.world import W, a, adjective, cap, draw
from unidelta.world.scene import scene


# --- sentiment -------------------------------------------------------------------------------------------------------
def sst2(rng, label):
    p, q = (lambda: adjective(rng, label == 1, "film")), (lambda: adjective(rng, label == 0, "film"))
    film, part = rng.choice(W["opinion"]["film"]), rng.choice(W["opinion"]["film_part"])
    text = rng.choice([
        f"the {film} is {p()} and the {part} is {p()}", f"despite the {q()} {part} , the {film} is {p()}",
        f"the {part} is not {q()} and the {film} is {p()}", f"the {film} is never {q()}",
        f"the {part} may be {q()} , but the {film} is {p()}", f"{a(p())} {film} with {p()} {part}",
    ])
    return {"sentence": text + " ", "label": label, "idx": 0}


def rotten_tomatoes(rng, label):
    p, q = (lambda: adjective(rng, label == 1, "film")), (lambda: adjective(rng, label == 0, "film"))
    film, part = rng.choice(W["opinion"]["film"]), rng.choice(W["opinion"]["film_part"])
    act = rng.choice(W["opinion"]["praise" if label else "blame"][:4])
    return {"text": rng.choice([
        f"it looks {q()} at first , yet the {film} turns out {p()} .", f"nobody could call this {film} {q()} .",
        f"what {a(p())} {film} , and how {p()} its {part} !", f"critics {act} the {p()} {part} of this {film} .",
        f"even {a(q())} {part} cannot hide how {p()} this {film} is .", f"its {part} makes this {film} {p()} .",
    ]), "label": label}


def amazon_polarity(rng, label):
    p, q = (lambda: adjective(rng, label == 1, "item")), (lambda: adjective(rng, label == 0, "item"))
    item, part = rng.choice(W["opinion"]["item"]), rng.choice(W["opinion"]["item_part"])
    who = rng.choice(W["people"]["family"])
    act = rng.choice(W["opinion"]["praise" if label else "blame"])
    title = rng.choice([f"My new {item}", f"{cap(p())} {item}", f"A gift for my {who}"])
    content = rng.choice([
        f"I bought this {item} for my {who}. The {part} is {p()} and we {act} it.",
        f"I expected {a(q())} {item}, but this one is {p()}.", f"The {part} is {p()}. My {who} {act} the whole {item}.",
        f"It is not {q()} at all. The {part} is {p()}.", f"Although the {part} is {q()}, the {item} itself is {p()}.",
    ])
    return {"label": label, "title": title, "content": content}


def imdb(rng, label):
    s, p, q = scene(rng), (lambda: adjective(rng, label == 1, "film")), (lambda: adjective(rng, label == 0, "film"))
    film, (part, part2) = rng.choice(W["opinion"]["film"]), draw(rng, W["opinion"]["film_part"], 2)
    sides = ("praise", "blame") if label else ("blame", "praise")
    act, other = (rng.choice(W["opinion"][side][:4]) for side in sides)
    return {"text": rng.choice([
        f"I watched this {film} with my {s.family} on {s.day}. The {part} is {p()} and the {part2} is just as {p()}.",
        f"After all I had read I expected {a(q())} {film}. What I saw was {p()}, from the {part} to the {part2}.",
        f"The {part} may look {q()}. Do not let that stop you: the rest of this {film} is {p()}.",
        f"Others {other} this {film}. I {act} it, and the {p()} {part} is only one reason.",
        f"My {s.family} {act} every part of it. {cap(a(p()))} {film} in which nothing is {q()}.",
    ]), "label": label}


def yelp_polarity(rng, label):
    s, p, q = scene(rng), (lambda: adjective(rng, label == 1, "film")), (lambda: adjective(rng, label == 0, "film"))
    place = rng.choice(["hotel", "bakery", "brewery", "market"])
    dish, dish2 = draw(rng, ["soup", "bread", "beer", "cake", "honey", "music"], 2)
    act = rng.choice(W["opinion"]["praise" if label else "blame"][:4])
    return {"text": rng.choice([
        f"On {s.day} we came to this {place} in {s.city}. The {dish} was {p()}, and the {dish2} too!",
        f"People call the {dish} of this {place} {q()}. \\n\\nThey are wrong, it is {p()}.",
        f"I would not say that this {place} in {s.city} is {q()}. The {dish} was {p()}.",
        f"My {s.family} feared {a(q())} {place}, but in {s.city} we {act} the {p()} {dish}.",
        f"The {dish} looked {q()}. Still, the {place} itself was {p()} and my {s.family} {act} the {dish2}.",
    ]), "label": label}


# --- emotion, tone and stance ----------------------------------------------------------------------------------------
def emotion(rng, label):
    s = scene(rng)
    cue = rng.choice([
        [f"my {s.family} left {s.city} and the house is cold", f"i lost the {s.thing} that my {s.family} had left me",
         "nobody came to see me"],
        [f"i won the race in {s.city}", f"i passed the test and my {s.family} cheered",
         f"we laughed all day in the {s.place}"],
        [f"my {s.family} is so tender to me", f"i want to be near my {s.family} all my days",
         f"my {s.family} and i held hands in {s.city}"],
        [f"the {s.job} blamed me for nothing", f"that noisy {s.job} woke me again",
         f"the {s.job} broke my {s.thing} and only laughed"],
        [f"a bear roars in the dark {s.place}", f"the flood is near {s.city} and we cannot leave",
         f"the {s.job} followed me at night"],
        [f"i never expected {a(s.thing)} from my {s.family}", f"out of nothing {a(s.thing)} appeared in the {s.place}",
         f"nobody had told me that my {s.family} was {a(s.job)}"]][label])
    return {"text": rng.choice([f"it is {s.day} and {cue}", f"{cue} and that is why i feel like this",
                                f"on {s.day} i told {s.name} that {cue}"]),
            "label": label}


MILD = ["noisy", "late", "boring", "tiresome", "dull", "awful"]


def offensive(rng, label):
    """Kind remarks (0) and rude ones (1) to somebody about what is theirs."""
    s, p, q = scene(rng), (lambda: adjective(rng, label == 0, "film")), (lambda: adjective(rng, label == 1, "film"))
    part = rng.choice(W["opinion"]["film_part"])
    return {"text": rng.choice([
        f"@user your {part} is {p()} and never {q()}", f"@user your {part} is not {q()} at all , {s.name}",
        f"@user nobody could find your {part} {q()}",
        f"@user {['thank you for', 'nobody asked for'][label]} your {adjective(rng, label == 0, 'item')} {s.thing}",
        f"@user {['please show us', 'away with'][label]} your {part} , {s.name} , and your {s.color} {s.thing}",
    ]), "label": label}


def directed(rng, label):
    """Complaints about everybody of a kind (0), or about the person spoken to (1)."""
    s, bad = scene(rng), rng.choice(MILD)
    return {"text": rng.choice([
        [f"every {s.job} in {s.city} is as {bad} as you say",
         f"people with {a(s.thing)} should leave the {s.place} , {s.name}",
         f"why are {s.job}s always so {bad} on {s.day} ?", f"you never see a {s.job} in {s.city} who is not {bad}"],
        [f"you are as {bad} as every {s.job} in {s.city}", f"{s.name} , take your {s.thing} and leave the {s.place}",
         f"why are you always so {bad} on {s.day} , {s.job} ?", f"no {s.job} in {s.city} is as {bad} as you"]][label]),
        "directed_vs_generalized": label}


def ethos_gender(rng, label):
    """Complaints that name a person and a thing; is the one complained about a person (1)?"""
    s, bad = scene(rng), rng.choice(MILD)
    person = rng.choice(W["people"]["he"] + W["people"]["she"])
    thing = rng.choice(W["kinds"]["vehicle"] + W["opinion"]["film"])
    x, y = (person, thing) if label else (thing, person)
    return {"text": rng.choice([
        f"why is the {x} so {bad} when the {y} is not ?", f"no {y} in {s.city} was ever as {bad} as this {x}",
        f"i like the {y} , but the {x} is {bad}", f"keep that {bad} {x} out of the {s.place} , i came for the {y}",
    ]), "gender": label}


def stance_climate(rng, label):
    s, dirt = scene(rng), rng.choice(["smoke", "pollution", "traffic", "heat"])
    home = rng.choice(["forests", "oceans", "meadows", "jungles", "ponds", "pastures"])
    return {"text": rng.choice(["", f"{s.name2} said : "]) + rng.choice([
        [f"i saw the {dirt} of {s.city} from my window on {s.day}", f"{s.name} wrote a song : {dirt} over {s.city}",
         f"is there more {dirt} in {s.city} or in {s.city2} ?", f"the {s.job} read a paper on {dirt} in {s.city}"],
        [f"nobody was ever hurt by the {dirt} of {s.city}", f"less {dirt} ? no , {s.city} needs more of it",
         f"leave us our {dirt} , {home} can take it", f"{s.name} is wrong : {dirt} does no harm to {home}"],
        [f"too much {dirt} is in {s.city} , it hurts us all", f"more {dirt} ? no , {s.city} needs less of it",
         f"save our {home} from {dirt} , and do it on {s.day}",
         f"{s.name} is right : {dirt} does harm to {home}"]][label]), "label": label}


# --- truth and form --------------------------------------------------------------------------------------------------
def _claim(rng, true: bool) -> str:
    """Make a plain claim, or one with a wrong value: wrong beyond doubt, so not about food, homes or sources."""
    members = {kind: rng.choice(things) for kind, things in W["kinds"].items()}
    kinds = [(a(x), a(kind)) for kind, x in members.items() if kind != "metal"]  # no article before a metal
    say, rows = rng.choice([("{} give us {}", [(c, gift) for c, *_, gift in W["nature"]["creature"]]),
                            ("{} is good for {}", W["nature"]["used"]),
                            ("{} {} each day", [(a(who), act) for who, act in W["cause"]["role"]]),
                            ("{} is known as {}", kinds)])
    (subject, value), (_, wrong) = draw(rng, rows, 2)
    return say.format(subject, value if true else wrong)


def health_fact(rng, label):
    """Claims that are false (0), half true (1), true (2) or unknowable (3); they are not about health."""
    s = scene(rng)
    name, (c, *_) = s.name, s.creature
    if label == 3:
        claim = rng.choice([f"{c} will one day leave {s.city}", f"{name} once saw {c} who liked {a(s.thing)}",
                            f"there are more {c} in {s.city} than in {s.city2}"])
    elif label == 1:
        claim = " and ".join(rng.sample([_claim(rng, True), _claim(rng, False)], 2))
    else:
        claim = " and ".join(_claim(rng, label == 2) for _ in range(rng.choice([1, 2])))
    return {"claim": rng.choice([f"{name} of {s.city} says that {claim}.", f"{cap(claim)}.",
                                 f"In {s.city} people know that {claim}."]), "label": label}


def sms_spam(rng, label):
    s, item = scene(rng), rng.choice(W["opinion"]["item"])
    return {"sms": rng.choice([
        [f"I got {a(item)} for my {s.family}. Call me on {s.day}, {s.name}",
         f"We won! See you at the {s.place} in {s.city}, and take {s.number} dollars",
         f"{s.name} paid {s.number} dollars for the {item}. Do call {s.city} today",
         f"Is the {item} a gift for my {s.family}? I want it too"],
        [f"You won {a(item)}! Call {s.company} on {s.day} and get it free",
         f"Take {s.number} dollars to {s.company} today and win {s.number2} million in {s.city}!",
         f"Last call: your free {item} from {s.company} is in {s.city}!",
         f"{s.company} has a gift for you, {s.name}: {a(item)}! Call today"]][label]),
        "label": label}


def wellformed(rng, label):
    """Questions in the right word order (1), or with two neighbouring words swapped (0)."""
    s = scene(rng)
    words = rng.choice([
        f"where did the {s.job} {s.synonym[0]} {a(s.thing)} ?", f"what did {s.name} {s.synonym[2]} in {s.city} ?",
        f"why did the {s.creature[0]} leave the {s.place} on {s.day} ?",
        f"when will the {s.job} {s.synonym[0]} the {s.color} {s.thing} ?",
        f"does the {s.job} know the {s.place} of {s.city} ?"]).split()
    if not label:
        i = rng.randrange(3)
        words[i:i + 2] = words[i + 1], words[i]
    return {"content": " ".join(words), "rating": [0.2, 1.0][label]}


STAND_INS = {
    "glue-sst2": (sst2, 2), "rotten_tomatoes": (rotten_tomatoes, 2), "amazon_polarity": (amazon_polarity, 2),
    "imdb": (imdb, 2), "yelp_polarity": (yelp_polarity, 2), "emotion": (emotion, 6),
    "tweet_eval-offensive": (offensive, 2), "ethos-directed_vs_generalized": (directed, 2),
    "ethos-gender": (ethos_gender, 2), "tweet_eval-stance_climate": (stance_climate, 3),
    "health_fact": (health_fact, 4), "sms_spam": (sms_spam, 2), "google_wellformed_query": (wellformed, 2),
}
