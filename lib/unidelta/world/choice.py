"""Stand-ins that choose among options."""
from unidelta.world import PEOPLE, W, a, cap, draw, gender
from unidelta.world.scene import EVENTS, facts, options, scene


def dream(rng, at):
    places, vehicles = draw(rng, W["scene"]["place"], 3), draw(rng, W["kinds"]["vehicle"], 3)
    days = draw(rng, W["scene"]["day"], 3)
    lines = [f"M: I want to go to the {places[0]} by {vehicles[0]}.",
             f"W: I would rather see the {places[1]}. Let us leave on {days[0]}."]
    who, i = rng.choice([("man", 0), ("woman", 1)])
    question, right, answers = rng.choice([(f"Where does the {who} want to go?", i, [f"To the {x}." for x in places]),
                                           ("How will they travel?", 0, [f"By {x}." for x in vehicles]),
                                           ("When will they leave?", 0, [f"On {x}." for x in days])])
    return {"dialogue": lines, "question": question,
            "choice": options(rng, answers[right], answers[:right] + answers[right + 1:], at),
            "answer": answers[right]}


def codah(rng, at):
    roles = draw(rng, W["cause"]["role"], 4)
    (who, act), day, name = roles[0], rng.choice(W["scene"]["day"]), rng.choice(PEOPLE)
    pronoun = {"male": "He", "female": "She"}[gender(name)]
    prompt = rng.choice([f"It is {day} and the {who} is at work. The {who}",
                         f"{name} is {a(who)}. Today {pronoun.lower()}",
                         f"{name} started to work as {a(who)} on {day}. {pronoun}"])
    return {"question_propmt": prompt,
            "candidate_answers": options(rng, act + ".", [x + "." for _, x in roles[1:]], at),
            "correct_answer_idx": at}


def quartz(rng, at):
    x, y, sign = rng.choice(W["nature"]["relation"])
    up, name, city = rng.random() < .5, rng.choice(PEOPLE), rng.choice(W["scene"]["city"])
    more = up == (sign == "+")
    words, question = rng.choice([
        (("increase", "decrease"),
         f"{name} learns about {x} in {city}. If the {x} {'increases' if up else 'decreases'}, the {y} will _____."),
        (("more", "less"),
         f"{name} of {city} studies {x} and {y}. When there is {'more' if up else 'less'} {x}, there is _____ {y}."),
        (("higher", "lower"),
         f"{name} in {city} finds that the {x} is {'high' if up else 'low'} and expects the {y} to be _____."),
    ])
    right, wrong = words if more else words[::-1]
    return {"question": question, "choices": {"text": options(rng, right, [wrong], at), "label": ["A", "B"]},
            "answerKey": "AB"[at], "para": ""}


def copa(rng, at):
    (cause, effect), wrong = draw(rng, W["cause"]["event"], 2)
    name, day, asks = rng.choice(PEOPLE), rng.choice(W["scene"]["day"]), rng.choice(["cause", "effect"])
    premise, right, other = (effect, cause, wrong[0]) if asks == "cause" else (cause, effect, wrong[1])

    def say(clause):
        return cap(clause.format(p=name)) + "."

    one, two = options(rng, say(right), [say(other)], at)
    return {"premise": say(rng.choice(["", f"on {day} "]) + premise), "choice1": one, "choice2": two,
            "question": asks, "idx": 0, "label": at}


def qasc(rng, at):
    question, right, wrong = facts(rng)
    return {"question": question, "choices": {"text": options(rng, right, wrong, at), "label": list("ABCDEFGH")},
            "answerKey": "ABCDEFGH"[at]}


def ai2_arc(rng, at):
    kind, *others = draw(rng, list(W["kinds"]), 4)
    (c, food, *_), *rest = draw(rng, W["nature"]["creature"], 4)
    (tool, use), *tools = draw(rng, W["nature"]["used"], 4)
    question, right, wrong = rng.choice([
        (f"Which of these is {a(kind)}?", rng.choice(W["kinds"][kind]), [rng.choice(W["kinds"][k]) for k in others]),
        (f"Which animals are known to eat {food}?", c, [r[0] for r in rest]),
        (f"A student needs help with {use}. What should the student take?", tool, [t[0] for t in tools])])
    return {"question": question, "choices": {"text": options(rng, right, wrong, at), "label": list("ABCD")},
            "answerKey": "ABCD"[at]}


def commonsense_qa(rng, at):
    s = scene(rng)
    kinds, roles = draw(rng, W["kinds"], 5), draw(rng, W["cause"]["role"], 5)
    creatures, used = draw(rng, W["nature"]["creature"], 5), draw(rng, W["nature"]["used"], 5)
    question, texts = rng.choice([
        (f"{s.name} knows somebody in {s.city} who {roles[0][1]}. Who may it be?", [r[0] for r in roles]),
        (f"{s.name} looks for {a(kinds[0])} in {s.city}. What will do?", [rng.choice(W["kinds"][k]) for k in kinds]),
        (f"Which animals near {s.city} would give {s.name} {creatures[0][3]}?", [c[0] for c in creatures]),
        (f"In {s.city}, {s.name} works at {used[0][1]}. What is at hand?", [u[0] for u in used])])
    return {"question": question, "choices": {"label": list("ABCDE"), "text": options(rng, texts[0], texts[1:], at)},
            "answerKey": "ABCDE"[at]}


def sciq(rng, _):
    """The support gives the answer, in other words than the question. The formatter draws the order of the options."""
    s = scene(rng)
    (c, food, *_), (d, food2, *_), *others = draw(rng, W["nature"]["creature"], 4)
    (x, made), (y, made2), *sources = draw(rng, W["nature"]["makes"], 4)
    question, right, wrong, support = rng.choice([
        (f"Which food must the {s.job} of {s.city} buy for {c}?", food, [food2, *(o[1] for o in others)],
         rng.sample([f"Without {food}, {c} cannot live.", f"Without {food2}, {d} cannot live."], 2)),
        (f"What does {s.city} need for {made}?", x, [y, *(o[0] for o in sources)],
         rng.sample([f"{cap(x)} is known for its {made}.", f"{cap(y)} is known for its {made2}."], 2))])
    return {"question": question, "correct_answer": right, "support": " ".join(support)} | {
        f"distractor{i}": w for i, w in enumerate(wrong, 1)}


def quarel(rng, at):
    s = scene(rng)
    x, y, sign = s.relation
    # is there more of x in s.place than in s.place2? is s.place the answer?
    more, first = rng.random() < .5, rng.random() < .5
    asked = "more" if (more == (sign == "+")) == first else "less"
    places = [s.place, s.place2] if first == (at == 0) else [s.place2, s.place]
    return {"question": f"{s.name} finds {'more' if more else 'less'} {x} in the {s.place} than in the {s.place2}. "
                        f"So there is {asked} {y} in the _____ (A) {places[0]} (B) {places[1]}", "answer_index": at}


def wino_grande(rng, at):
    s = scene(rng)
    (cause, effect), (did, undid) = rng.choice(EVENTS), rng.sample(s.opposite, 2)
    one, two = s.name, s.name2  # one is the answer
    say = cause.format(p=one)
    sentence = rng.choice([
        f"{say} but {two} did not, so it was clear why _ {effect.format(p='').strip()}.",
        f"Unlike {two}, {say}, so _ {effect.format(p='').strip()}.",
        f"{one} {did} the {s.thing} that {two} {undid} in {s.city}. The one who {did} it was _.",
        f"{two} {undid} the {s.thing} that {one} {did} on {s.day}. The one who {did} it was _."])
    pair = [one, two][::1 if at == 0 else -1]
    return {"sentence": sentence, "option1": pair[0], "option2": pair[1], "answer": str(at + 1)}


STAND_INS = {
    "dream": (dream, 3), "codah": (codah, 4), "quartz-no_knowledge": (quartz, 2), "superglue-copa": (copa, 2),
    "qasc": (qasc, 8), "ai2_arc": (ai2_arc, 4), "commonsense_qa": (commonsense_qa, 5), "sciq": (sciq, 1),
    "quarel": (quarel, 2), "wino_grande": (wino_grande, 2),
}
