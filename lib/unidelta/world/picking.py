"""Skills that pick an answer among options, and the many ways to offer the options (see `unidelta.world.skills`)."""

from unidelta.world import PEOPLE, W, a, cap, draw, prompts, ways
from unidelta.world.corpus import LEXICON

Pick = tuple[str, str, list[str]]  # question, answer, what else could be offered

# cue of a prompt, and the form in which the answer then gives the chosen option
FORMS = [*4 * [("", "it is {}")], *5 * [("just that!", "{}")], ("say it first!", "{} it is"), ("loud!", "{} !"),
         ("so?", "so {}"), ("twice!", "{} , {}")]


def choice(rng, worded=True) -> Pick:
    """Ask what belongs together, what comes first, or who goes where."""
    kind, *kinds = draw(rng, list(W["kinds"]), 8)
    creatures, makes = draw(rng, W["nature"]["creature"], 8), draw(rng, W["nature"]["makes"], 8)
    used, roles = draw(rng, W["nature"]["used"], 8), draw(rng, W["cause"]["role"], 8)
    column, ask = rng.choice([
        (1, ["the food of {}", "{} eat", "which food suits {}", "what is eaten by {}", "what would {} like"]),
        (2, ["the home of {}", "{} live in", "where to find {}", "in which spot {} stay", "where are {}"]),
        (3, ["the gift of {}", "{} give us", "what comes from {}", "what have we from {}", "known for {}"])])
    (place, far), (day, late) = draw(rng, W["scene"]["place"], 2), draw(rng, W["scene"]["day"], 2)
    (cause, effect), *others = draw(rng, W["cause"]["event"], 8)
    side = rng.randrange(2)
    p, city, he = rng.choice(PEOPLE), rng.choice(W["scene"]["city"]), rng.choice(["he", "she"])
    v1, v2, v3 = draw(rng, W["kinds"]["vehicle"], 3)
    role = rng.choice([f"{a(roles[0][0])} is one who", f"every day the {roles[0][0]}",
                       f"{p} works as {a(roles[0][0])}, so {p}", f"being {a(roles[0][0])}, {p}",
                       f"On {day} we saw how the {roles[0][0]}", f"The {roles[0][0]} of {city}, as always,"])
    who = rng.choice([f"the one who {roles[0][1]}", f"who {roles[0][1]}", f"in {city} somebody {roles[0][1]}; that is"])
    words = draw(rng, LEXICON, 16)  # any word can be an option, and be found by its place
    some = [" ".join(words[i:i + rng.choice([1, 1, 2, 3])]) for i in range(0, 16, 2)]
    end = rng.choice(["first", "last"])
    if worded and rng.random() < .35:
        places, vehicles = draw(rng, W["scene"]["place"], 5), draw(rng, W["kinds"]["vehicle"], 5)
        return ways.talk(rng, places, vehicles, draw(rng, W["scene"]["day"], 5))

    def pick(questions, about, rows, column):  # one of the questions; the first row has the answer
        return rng.choice(questions).format(about), rows[0][column], [row[column] for row in rows[1:]]

    fact = pick(ask, creatures[0][0], creatures, column)
    eater = pick(["who likes {}", "animals that eat {}", "which ones feed on {}"], creatures[0][1], creatures, 0)
    product = pick(["what comes from {}", "{} makes", "we owe this to {}", "what do we get from {}"],
                   makes[0][0], makes, 1)
    purpose = pick(["the purpose of {}", "{} is good for", "why take {}", "what to do with {}"], used[0][0], used, 1)
    tool = pick(["for {} take", "somebody wants help with {} and needs", "what helps with {}"], used[0][1], used, 0)
    member = (rng.choice(["find {}", "one of them is {}", "which is {}", "{} is needed"]).format(a(kind)),
              rng.choice(W["kinds"][kind]), [rng.choice(W["kinds"][k]) for k in kinds])
    act = role, roles[0][1], [r[1] for r in roles[1:]]
    worker = who, roles[0][0], [r[0] for r in roles[1:]]
    event = ((cause, effect)[side].format(p=p) + rng.choice([", and ", ": ", "", "."]),
             (effect, cause)[side].format(p=p), [o[1 - side].format(p=p) for o in others])
    # two people travel, and what is true of the other one is among the wrong answers
    his, hers = (v1, day, place), (v2, late, far)
    mine, theirs = (his, hers) if he == "he" else (hers, his)
    how = (f"HE: I go by {v1} to the {place} on {day}. SHE: I go by {v2} to the {far} on {late}. how does {he} go",
           f"by {mine[0]}", [f"by {theirs[0]}", f"by {v3}"])
    when = (f"HE: on {day} I see the {place}, by {v1}. SHE: on {late} I see the {far}, by {v2}. when does {he} go",
            f"on {mine[1]}", [f"on {theirs[1]}", f"on {draw(rng, W['scene']['day'], 1, [day, late])[0]}"])
    where = (f"HE: on {day} I take the {v1} to the {place}. SHE: I see the {far} on {late}. where does {he} go",
             f"to the {mine[2]}",
             [f"to the {theirs[2]}", f"to the {draw(rng, W['scene']['place'], 1, [place, far])[0]}"])
    return rng.choice([(end, some[0], some[1:]), (f"the {end} of these", some[0], some[1:]), fact, eater, product,
                       purpose, tool, member, act, act, worker, event, event, how, when, where])


def relation(rng, worded=True) -> Pick:
    """Ask what goes up or down with what."""
    x, y, sign = rng.choice(W["nature"]["relation"])
    # Mostly up. If up and down were equally frequent, neither the sign nor the direction alone would tell anything
    # about the answer, and none of it would be learnt.
    up = rng.random() < .8
    many, few = rng.choice([
        ("much", "little"), ("rising", "falling"), ("strong", "weak"), ("a lot", "a bit"), ("rise", "fall"),
        ("big", "small"), ("great", "slight"), ("grow", "shrink"), ("go up", "go down"), ("high", "low"),
        ("more", "less"), ("higher", "lower"), ("increase", "decrease"), ("greater", "smaller")])
    right, wrong = (many, few) if up == (sign == "+") else (few, many)
    if worded and rng.random() < .6:
        return ways.rule(rng, x, y, up), right, [wrong]
    more = rng.choice(["increases", "rises", "is great", "climbs", "goes up"] if up
                      else ["decreases", "falls", "is small", "drops", "goes down"])
    blank = rng.choice(["___", "_____", "...", "_", "____"])
    p, city, day = rng.choice(PEOPLE), rng.choice(W["scene"]["city"]), rng.choice(W["scene"]["day"])
    start = rng.choice(["", "", f"{p} reads of {x} in a book. ", f"In {city} they study the {y}. ",
                        f"{day} is for science, says {p}. "])
    case = rng.choice([
        f"{'much' if up else 'little'} {x}, so the {y} is", f"as {x} goes {'up' if up else 'down'}, {y} is",
        f"the {x} {more} and then the {y} {blank}", f"{p} of {city} sees that {x} {more}, so {y} seems",
        f"where {x} {more}, {p} looks for {blank} {y}", f"{y} when {x} {more}",
        f"The {x} in {city} {more}. This makes {y} {blank}", f"With {x} that {more} one has {blank} {y}",
        f"{'more' if up else 'less'} {x} brings {blank} {y}",
        f"the {'higher' if up else 'lower'} the {x}, the {blank} the {y}",
        f"{'high' if up else 'low'} {x}, {city} knows, means {blank} {y}",
        f"{y} will be {blank}, for {x} gets {'higher' if up else 'lower'}",
        f"after {'an increase' if up else 'a decrease'} in {x} the {y} will {blank}",
        f"{p} has {'more' if up else 'less'} {x} and looks for {blank} {y}"])
    return start + case, right, [wrong]


def offer(rng, pick: Pick, dress: bool) -> tuple[str, str]:
    """Put a question with one answer: sometimes openly, mostly with options set apart in ever-changing ways."""
    question, answer, rest = pick
    cue, form = rng.choice(FORMS)
    at = {"first": 0, "last": -1}.get(question.split(" of")[0].removeprefix("the "))
    if not dress and at is None and len(rest) > 1 and rng.random() < .2:
        return f"{question}? {cue}", form.format(*[answer] * 2)
    options = [answer, *rng.sample(rest, min(len(rest), rng.choice([1, 1, 2, 3, 3, 4, 7])))]
    rng.shuffle(options)
    answer = answer if at is None else options[at]
    if dress and rng.random() < .6:  # as sentences, with a capital, a stop or both; the answer keeps them
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
