"""Plain text about the small world, for the masked-span part of the embedded backbone's pre-training.

No row of a task in `unidelta.sources.embedded` occurs here. The tasks' label words occur only as words of English
(`_vocabulary`), where nothing but the word itself or its plain meaning matters. `unidelta.world.skills` says what the
text is for.
"""

import random

from unidelta.world import KIND_OF, PEOPLE, SENSES, THINGS, W, a, adjective, cap

# Label words and field names of the tasks. The backbone knows them as words of English. As answers it meets hardly any
# but those of `picking.relation`: more, less, higher, lower, increase, decrease.
PLAIN_WORDS = ["positive", "negative", "entailment", "neutral", "contradiction", "duplicate", "equivalent", "true",
               "false", "sentence", "premise", "hypothesis", "question", "title", "content", "word", "text",
               "not_found", "top_secret", "choice", "more", "less", "higher", "lower", "increase", "decrease", "SEP",
               "span", "first_name", "1", "2", "A", "B", "0", "sentence 1", "sentence 2", "sadness", "joy", "anger",
               "fear", "surprise", "love", "none", "favor", "offensive", "non-offensive", "directed", "generalized",
               "generalied", "against", "mixture", "unproven", "well-formed", "not well-formed"]
FUNCTION_WORDS = """
although because before but by despite during each either even every except for from had has he her his how however
if in indeed into is it its just like many me most much my near neither never no nobody none nor not nothing of off
on one only or other our out over own rather same says she should since so some still such than that the their them
then there these they this those though through to today too toward under unlike until upon was way were what when
where which while who whole whose why will with without would yet you your expected turned turns called expects
looks makes known help student best easy rival million paid cost come comes live lives started work based acted seen
saw notices learns finds amount level critics nearby morning million gift home known man woman travel leave take
want good eat feed get think use M W I dollars look looked studies can cause effect animals make may itself
increases decreases thanked cannot high low What Which Where When Is My By If To Today Most No Unlike Although
""".split()
MEANING = [("duplicate", "same"), ("equivalent", "same"), ("positive", "good"), ("negative", "bad"), ("true", "right"),
           ("false", "wrong"), ("neutral", "open"), ("contradiction", "conflict"), ("entailment", "consequence")]


def _everything(node=W):
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, str):
            yield value
        else:
            yield from _everything(value)


LEXICON = sorted({w for phrase in _everything() for w in phrase.replace("{p}", "").split()} - set("+-"))
WORDS = LEXICON + 2 * FUNCTION_WORDS + 4 * PLAIN_WORDS


# --- plain sentences -------------------------------------------------------------------------------------------------
def _scene(rng):
    who, thing, place = rng.choice(W["people"]["job"]), rng.choice(THINGS), rng.choice(W["scene"]["place"])
    did = rng.choice(rng.choice(W["scene"]["opposite"]) + rng.choice(W["scene"]["synonym"])[1::2])
    color, mood, day = (rng.choice(W["scene"][k]) for k in ("color", "mood", "day"))
    return rng.choice([f"In the {place} {a(mood)} {who} {did} {a(thing)} that was {color}.",
                       f"The {who}, {mood} as ever, {did} {a(color)} {thing}.",
                       f"{cap(a(thing))} is a kind of {KIND_OF[thing]}.",
                       f"On {day} {rng.choice(PEOPLE)} went to the {place} with the {who}."])


def _nature(rng):
    c, food, home, gives = rng.choice(W["nature"]["creature"])
    source, product = rng.choice(W["nature"]["makes"])
    tool, use = rng.choice(W["nature"]["used"])
    x, y, sign = rng.choice(W["nature"]["relation"])
    kind = rng.choice(list(W["kinds"]))
    more, less = ("more", "less") if sign == "+" else ("less", "more")
    return rng.choice([f"{cap(c)} like {food} best.", f"You find {c} in {home}.", f"{cap(gives)} come from {c}.",
                       f"{cap(product)} comes from {source}.",
                       f"{cap(tool)} is for {use}.", f"For {use} one takes {tool}.",
                       f"As {x} goes up, we see {more} {y}.", f"With little {x} we see {less} {y}.",
                       f"{cap(x)} brings {more} {y}.",
                       f"The higher the {x}, the {'higher' if sign == '+' else 'lower'} the {y}.",
                       f"The lower the {x}, the {'lower' if sign == '+' else 'higher'} the {y}.",
                       f"An increase in {x} leads to {'an increase' if sign == '+' else 'a decrease'} in {y}.",
                       f"A decrease in {x} leads to {'a decrease' if sign == '+' else 'an increase'} in {y}.",
                       f"Every {rng.choice(W['kinds'][kind])} is {a(kind)}.", f"The favorite food of {c} is {food}.",
                       f"The home of {c} is in {home}.", f"{cap(home)} suit {c}."])


def _event(rng):
    cause, effect = rng.choice(W["cause"]["event"])
    role, act = rng.choice(W["cause"]["role"])
    name = rng.choice(PEOPLE)
    return rng.choice([f"{cap(cause.format(p=name))}, so {effect.format(p=name)}.",
                       f"{cap(effect.format(p=name))} because {cause.format(p=name)}.", f"Every day the {role} {act}.",
                       f"The one who {act} is the {role}."])


def _sense(rng):
    word = rng.choice(list(SENSES))
    sense = rng.choice(list(SENSES[word]))
    clause = rng.choice(SENSES[word][sense][3:]).format(p=rng.choice(PEOPLE))
    return f"{cap(clause)}, and that {word} belongs to the {sense}."


def _vocabulary(rng):
    # no delta can teach the backbone to say what pre-training never says. This holds for pieces of label words too,
    # such as those after a `_`.
    w = rng.choice([rng.choice(WORDS), rng.choice(PLAIN_WORDS), f"{rng.choice(LEXICON)}_{rng.choice(PLAIN_WORDS)}"])
    x, y = rng.choice(MEANING)
    name = rng.choice(PEOPLE)
    return rng.choice([f"{name} wrote {w} on the board and the class read {w}.",
                       f"The word {w} stands on the sign: {w}.",
                       f"Say {w} again, said {name}. {cap(w)}, said the class.", f"For {x} some people say {y}."])


def _worth(rng):
    good, domain = rng.random() < .5, rng.choice(["film", "item"])
    one, two = (adjective(rng, good, domain) for _ in range(2))
    return f"{cap(one)} is {'praise' if good else 'blame'}, and so is {two}; {adjective(rng, not good, domain)} is not."


def agreement(rng):
    """Say what somebody did to themselves, mostly with others present whom the pronoun would not fit."""
    pronouns = [("himself", "male", "he"), ("herself", "female", "she"), ("themselves", None, "they")]
    people = {one: W["people"].get(names, []) + [f"the {x}" for x in W["people"][nouns]]
              for one, names, nouns in pronouns}
    one, other = rng.sample(list(people), 2)
    who, about = rng.choice(people[one]), rng.choice(people[other])
    who = rng.choice([who, who, f"{who}, but not {about},", f"{who}, whom {about} met,", f"after {about}, {who}",
                      f"{who} with {about}", f"thanks to {about} {who}"])
    return f"{cap(who)} {rng.choice(W['acts']['reflexive'])} {one} on {rng.choice(W['scene']['day'])}."


PLAIN = [_scene, _nature, _event, _sense, _vocabulary, _vocabulary, _worth, agreement]


def text(rng: random.Random) -> str:
    """Return a paragraph of two to four plain sentences, for span corruption."""
    return " ".join(rng.choice(PLAIN)(rng) for _ in range(rng.randint(2, 4)))
