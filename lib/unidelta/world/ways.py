"""Many ways to say one thing: facts, claims, deals, reviews, talks and rules put together from parts drawn at random.

A backbone that has met something in only a handful of wordings does not recognise it in another. A delta would then
have to learn the skill anew, and what it learns would not carry over to the next task.
"""

import random

from unidelta.world import KIND_OF, PEOPLE, W, a, cap
from unidelta.world.corpus import FUNCTION_WORDS


def _idle(rng: random.Random) -> str:
    """Return opening words that say nothing: often none, sometimes function words drawn at random."""
    p = rng.choice(PEOPLE)
    return rng.choice(["", "", "", "", "today ", "once ", "again ", "look: ", f"{p} saw that ", f"as {p} says, ",
                       "it is true that ", "one hears that ",
                       " ".join(rng.choices(FUNCTION_WORDS, k=rng.randint(1, 4))) + " "])


def _ended(rng: random.Random, text: str) -> str:
    return cap(text.strip().replace(",,", ",")) + rng.choice([".", ".", ".", " .", "", "!"])


# --- facts and claims: what follows, what may be, what cannot --------------------------------------------------------
def _told(rng, fact, sure, may, no) -> tuple[str, list[str], list[str], list[str]]:
    """Return the fact and all claims as sentences."""
    return (_ended(rng, fact), [_ended(rng, claim) for claim in sure], [_ended(rng, claim) for claim in may],
            [_ended(rng, claim) for claim in no])


def scene(rng, who, other, mood, did, undid, color, wrong, thing,
          place, far) -> tuple[str, list[str], list[str], list[str]]:
    """Say that somebody did something with a thing in a place: (fact, what follows, what may be, what cannot be)."""
    city, day, p = rng.choice(W["scene"]["city"]), rng.choice(W["scene"]["day"]), rng.choice(PEOPLE)
    kind = KIND_OF[thing]
    what = rng.choice([f"{a(color)} {thing}", f"{a(color)} {thing}", f"{a(thing)} that was {color}",
                       f"one {color} {thing}", f"this {color} {thing}"])
    someone = rng.choice([f"{a(mood)} {who}", f"this {mood} {who}", f"one {mood} {who}", f"the {who}, {mood} again,",
                          f"that {who}, who was {mood},", f"our {mood} {who}", f"{p}, {a(mood)} {who},",
                          f"the same {mood} {who}", *3 * [f"the {mood} {who}"]])
    wheres = [f"inside the {place}", f"near the {place}", f"at the {place}", f"in this {place}",
              f"in {a(place)} of {city}"]
    if not someone.startswith(f"the {mood}"):  # together they would be the premise of a stand-in (`pair.mnli`)
        wheres.insert(0, f"in the {place}")
    where = rng.choice(wheres)
    fact = _idle(rng) + rng.choice([f"{someone} {did} {what} {where}", f"{someone} {did} {what} {where}",
                                    f"{where}, {someone} {did} {what}", f"{what} was {where}, and {someone} {did} it",
                                    f"{someone} was {where} and {did} {what}",
                                    f"it was {where} that {someone} {did} {what}", f"{someone}, {where}, {did} {what}"])
    # every frame makes right claims and wrong ones, so that only what a claim says decides
    right = {"C": a(color), "c": color, "d": did, "p": place, "W": a(who), "w": who}
    wrongs = {"C": a(wrong), "c": wrong, "d": undid, "p": far, "W": a(other), "w": other}
    frames = [("c", f"the {thing} {{c}} it was"), ("c", f"it was {{c}}, this {thing}"),
              ("C", f"{{C}} {thing} is what the {who} {did}"), ("c", f"{{c}} was the {thing}"),
              ("c", f"the {thing} of the {who} was {{c}}"), ("c", f"the {thing} looked {{c}}"),
              ("d", f"this {who} {{d}} {a(thing)}"), ("d", f"the {who} {{d}} it"), ("d", f"somebody {{d}} the {thing}"),
              ("d", f"the {who} {{d}} one {thing}"), ("d", f"the {who} {{d}} that {thing}"),
              ("d", f"someone {{d}} one {color} {thing}"), ("d", f"someone {{d}} this {thing}"),
              ("c", f"someone {did} this {{c}} {thing}"), ("d", f"the {thing} is what the {who} {{d}}"),
              ("d", f"a certain {who} {{d}} {a(thing)}"), ("p", "all this was in the {p}"),
              ("p", f"it was in the {{p}} that somebody {did} {a(thing)}"), ("p", f"the {who} {did} it in the {{p}}"),
              ("W", f"it was {{W}} who {did} the {thing}"), ("w", f"one {{w}} {did} {a(thing)}"),
              ("W", f"{{W}} {did} it")]
    sure = [frame.format(**right) for _, frame in frames]
    sure += [f"some {who} {did} {a(kind)}", f"this {who} {did} {a(kind)}", f"the {who} {did} one {kind}",
             f"the {who} {did} some {kind}", f"somebody {did} {a(kind)}", f"somebody {did} {a(color)} {thing}",
             f"one {who} was {mood}", f"{a(who)} that was {mood} was in the {place}",
             f"something {color} was in the {place}", f"there was {a(thing)} in the {place}",
             f"{a(mood)} {who} {did} {a(kind)}", f"there was {a(who)} in the {place}",
             f"the {place} had {a(who)} in it"]
    no = [frame.format(**right | {slot: wrongs[slot]}) for slot, frame in frames]
    no += [f"nobody {did} {a(color)} {thing}", f"nobody {did} {a(thing)}", f"not one {who} was in the {place}",
           f"there was no {thing} in the {place}", f"nothing {color} was there", f"the {place} had no {who} in it",
           f"none of them {did} {a(kind)}", f"no {who} {did} the {thing}"]
    may = [f"{rng.choice(['this', 'some', 'one', 'the'])} {who} {did} "
           f"{rng.choice([a(thing), 'that ' + thing, 'it'])} {more}"
           for more in (f"on {day}", f"for {a(other)}", f"this {day}", f"to please the {other}", f"with {a(other)}",
                        f"for {p}", f"before {day}")]
    may += [f"{a(other)} saw it all", f"some {other} saw {a(thing)}", f"the {other} also saw the {who}",
            f"{a(other)} knows the {who}", f"this {who} lives in {city}", f"the {who} lives by the {place}",
            f"a home near the {place} is what the {who} has", f"the {who} often stays near the {place}",
            f"all this was on {day}", f"the {who} works close to the {place}",
            f"it was for the {other} that the {who} {did} it", f"{p} lives near this {place}"]
    return _told(rng, fact, sure, may, no)


STAY = ["stay in", "live in", "sleep in", "keep to", "rest in", "are found in", "have their home in"]
EAT = ["want", "love", "hunt for", "eat", "feed on", "look for", "need", "enjoy", "thrive on", "live on", "search for"]


def nature(rng, one, food, home, two, food2, home2) -> tuple[str, list[str], list[str], list[str]]:
    """Let somebody tell where animals live and what they eat: (fact, what follows, what may be, what cannot be)."""
    city, day = rng.choice(W["scene"]["city"]), rng.choice(W["scene"]["day"])
    p, job = rng.choice(PEOPLE), rng.choice(W["people"]["job"])
    stay, eat, ate, stayed = rng.choice(STAY), rng.choice(EAT), rng.choice(EAT), rng.choice(STAY)
    start = rng.choice(["", "", f"on {day} {a(job)} wrote that ", f"in {city} {p} tells us that ",
                        f"{a(job)} from {city} thinks that ", "it is known that ", "everybody knows how ",
                        f"{p}, {a(job)}, notes: ", "most of the ", "many ", "all over the world ",
                        f"as {a(job)} in {city} put it, "])
    end = rng.choice(["", "", f", writes {p} in {city}", f", as {a(job)} of {city} found", " all year",
                      f", and {a(job)} saw it on {day}", f", {p} tells {a(job)}"])
    fact = start + rng.choice([f"{one} {stay} {home}, where they {eat} {food}", f"{one} {eat} {food} and {stay} {home}",
                               f"{one} of the {home} {eat} {food}", f"{one} {eat} {food} when they {stay} {home}",
                               f"{one}, which {stay} {home}, {eat} {food}",
                               f"{one} {stay} {home} and there {eat} {food}",
                               f"{one} {stay} {home} and {eat} {food}; {two} {stay} {home2} and {eat} {food2}",
                               f"{one} {eat} {food} near {home}"]) + end
    sure = [f"{one} {ate} {food}", f"{one} {stayed} {home}", f"it is {food} that {one} {ate}",
            f"there are {one} in {home}", f"{food} is good for {one}", f"some animals of {home} {ate} {food}"]
    may = [f"{one} {ate} {food2}", f"{one} {stayed} {home2}", f"it is {food2} that {one} {ate}",
           f"there are {one} in {home2}", f"{food2} is good for {one}", f"{one} and {two} stay in one place",
           f"on {day} {one} {ate} little"]
    no = [f"{one} never {ate} {food}", f"no {one} {stayed} {home}", f"{food} is bad for {one}",
          f"none of the {one} {ate} {food}", f"{one} cannot live in {home}"]
    return _told(rng, fact, sure, may, no)


def deal(rng, buyer, sold, third, n, m, city, town, day, late) -> tuple[str, list[str], list[str], list[str]]:
    """Say that a company took over another: (fact, what follows, what may be, what cannot be)."""
    who = rng.choice([f"{buyer} of {city}", f"{buyer} from {city}", f"{buyer}, at home in {city},",
                      f"the {city} house {buyer}", f"{buyer} ( {city} )", f"{buyer}, which works out of {city},",
                      f"{buyer} in {city}"])
    price = rng.choice([f"for {n} million", f"at {n} million dollars", f"with {n} million dollars",
                        f"at a cost of {n} million", f"for {n} million in all"])
    when = rng.choice([f"on {day}", f"this {day}", f"last {day}", f"{day} morning"])
    took = rng.choice([f"took over {sold}", f"took its rival {sold}", f"got {sold}", f"made {sold} its own",
                       f"became the owner of {sold}", f"gave a home to {sold}", f"had its rival {sold} join it"])
    fact = _idle(rng) + rng.choice([f"{who} {took} {when} {price}", f"{who} {took} {price} {when}",
                                    f"{when} {who} {took}, {price}", f"{price}, {who} {took} {when}",
                                    f"{when}, {price}, {who} {took}", f"{who}, {when}, {took} {price}",
                                    f"{sold} was paid {n} million by {who} {when}",
                                    f"{who} gave {n} million dollars {when} and has {sold} since"])
    sure = [f"{buyer} did it on {day}", f"{sold} was bought on {day}", f"{buyer} comes out of {city}",
            f"{sold} is with {buyer} now", f"it is {buyer} that has {sold}", f"{buyer} belongs to {city}",
            f"{sold} went for {n} million", f"{day} is when {sold} was sold", f"{buyer} has it",
            f"on {day} {buyer} acted", f"{city} is where {buyer} comes from", f"{buyer} now owns {sold}",
            f"{buyer} is from {city}", f"{buyer} came from {city}", f"{buyer} has {sold} today",
            f"now {buyer} has {sold}", f"somebody paid {n} million"]
    no = [f"{buyer} did it on {late}", f"{sold} was bought on {late}", f"{buyer} comes out of {town}",
          f"{sold} is with {third} now", f"it is {third} that has {sold}", f"{buyer} belongs to {town}",
          f"{sold} went for {m} million", f"{late} is when {sold} was sold", f"{third} has it",
          f"on {late} {buyer} acted", f"{town} is where {buyer} comes from", f"{third} now owns {sold}",
          f"{buyer} is from {town}", f"{buyer} came from {town}", f"{third} has {sold} today",
          f"now {third} has {sold}", f"{buyer} went to {sold}"]
    may = [f"{third} knew of it", f"{buyer} is happy", f"{third} wanted {sold} too",
           f"{buyer} has {a(rng.choice(W['scene']['mood']))} owner"]
    return _told(rng, fact, sure, may, no)


# --- reviews ---------------------------------------------------------------------------------------------------------
def review(rng, p, q, x, part, act) -> str:
    """Judge x. p() draws an adjective of the judgement's polarity, and `act` is a verb of the same polarity.

    q() draws an adjective of the other polarity, which the text takes back.
    """
    who, kin = rng.choice(PEOPLE), rng.choice(W["people"]["family"])
    seems = rng.choice(["seems", "seemed", "sounds", "was said to be", "begins"])
    doubt = rng.choice([f"it {seems} {q()}", f"{q()} as it begins", f"some say {q()}", f"its {part} {seems} {q()}",
                        f"{who} feared it {q()}", f"for all the {q()} {part}", f"{q()} the {part} may be",
                        f"we thought it {q()}", f"true, the {part} {seems} {q()}", f"{a(q())} start"])
    so = rng.choice([f"this {x} is {p()}", f"it ends {p()}", f"{who} finds it {p()}", f"it gets {p()}",
                     f"what stays is {p()}", f"the whole is {p()}", f"you will call it {p()}",
                     f"it proves {a(p())} {x}", f"my {kin} {act} it", f"how {p()} it is", f"it becomes {p()}"])
    link = rng.choice([" but ", " , but ", ", still ", " ; then ", ", and yet ", " , only that ", ". Even so, ",
                       " - in the end ", " though "])
    none = rng.choice(["nobody", "not one of us", "no one here", "none of my friends", f"neither {who} nor my {kin}",
                       "hardly anyone"])
    text = rng.choice([
        *4 * [doubt + link + so],
        *2 * [f"{none} {rng.choice(['found', 'called', 'thought', 'would call', 'can call'])} "
              f"{rng.choice(['it', f'the {x}'])} {q()}"],
        f"{q()} {part} or not , it is {p()}", f"no {q()} {part} takes away that it is {p()}",
        f"its {q()} {part} makes it no less {p()}", f"{none} is blind to how {p()} the {x} is",
        f"see how {p()} , the {part} and all", f"such {a(p())} {x} ! such {a(p())} {part} !",
        f"those who know {act} its {p()} {part}", f"many {act} how {p()} the {part} is",
        f"thanks to the {part} it is {p()}", f"not even {a(q())} {part} could change how {p()} it is",
        f"even with {a(q())} {part} one sees how {p()} the {x} is", f"one cannot call this {x} {q()}",
        f"who could say {q()} of this {x} ?", f"no one can say that this {x} is {q()}", f"you could not call it {q()}",
        f"the {q()} {part} cannot take away how {p()} it is", f"{none} could say of this {x} that it is {q()}",
        f"with this {part} the {x} is {p()}", f"the {part} alone is why my {kin} {act} it",
        f"so {p()} is the {part} that {who} {act} it"])
    return rng.choice([text, text, cap(text)]) + rng.choice(["", " .", ".", " !"])


# --- talks -----------------------------------------------------------------------------------------------------------
# what a question calls a speaker who has no name
CALLED = {"M": "the man", "m": "the man", "MAN": "the man", "Man": "the man", "The man": "the man", "HE": "he",
          "W": "the woman", "w": "the woman", "WOMAN": "the woman", "Woman": "the woman", "The woman": "the woman",
          "SHE": "she"}


def talk(rng, places: list[str], vehicles: list[str], days: list[str]) -> tuple[str, str, list[str]]:
    """Let two people plan a trip: (talk and question, answer, what else could be offered).

    Each has a place in mind; one names the vehicle and the other the day. places, vehicles, days: at least three
    different ones each. The talk is about the first two places, the first vehicle and the first day.
    """
    he, she = rng.choice(W["people"]["male"]), rng.choice(W["people"]["female"])
    left, right = rng.choice([*4 * [("M", "W")], ("HE", "SHE"), ("MAN", "WOMAN"), ("Man", "Woman"), (he, she),
                              ("The man", "The woman"), ("m", "w")])
    mark = rng.choice([":", ":", " -", " says:", ">", ".", " says"])
    here, there = rng.sample(["I wish to see the {}", "I hope to see the {}", "I think of the {}", "I am for the {}",
                              "the {} is good for me", "the {} , please", "take me to the {}", "why not the {}",
                              "I like the {} best", "let me see the {}", "I would go to the {}", "we should see the {}",
                              "I want the {}", "my wish is the {}", "for me it is the {}", "let me be at the {}",
                              "I want to be at the {}", "I would have the {}", "the {} is where I go",
                              "I would love the {}"], 2)
    there = rng.choice(["", "", "", "no , ", "not there , but ", "well , ", "rather not ; "]) + there
    by = rng.choice([", by {}", " and by {}", ". We take the {}", ". The {} is best", ". Let us go by {}",
                     ". Why not by {}", " , with the {}"]).format(vehicles[0])
    on = rng.choice([", on {}", ". We go on {}", ". {} would be good", ". Let us do it on {}", ". How about {}",
                     " , this {}", ". On {} , then"]).format(days[0])
    extra = [by, on] if rng.random() < .5 else [on, by]
    speakers = [left, right] if rng.random() < .6 else [right, left]
    lines = [f"{s}{mark} {cap(say.format(place) + more)}{rng.choice(['.', '.', '?', ' .'])}"
             for s, say, place, more in zip(speakers, (here, there), places, extra, strict=False)]
    if rng.random() < .5:
        asked, mine, other = speakers[0], places[0], places[1]
    else:
        asked, mine, other = speakers[1], places[1], places[0]
    name = CALLED.get(asked, asked)
    to = rng.choice(["to the {}", "to the {}", "the {}", "at the {}"])
    question, right, wrong = rng.choice([
        *3 * [(rng.choice(["where would {} go", "where does {} want to be", "what does {} want to see",
                           "which place does {} like", "what is the wish of {}", "where is {} to go",
                           "the place {} has in mind"]).format(name),
               to.format(mine), [to.format(x) for x in (other, *places[2:])])],
        (rng.choice(["how do they go", "how will both go", "what takes them there", "how to go"]),
         f"by {vehicles[0]}", [f"by {x}" for x in vehicles[1:]]),
        (rng.choice(["when do they go", "on which day is it", "when will both go", "the day of it"]),
         f"on {days[0]}", [f"on {x}" for x in days[1:]])])
    return f"{' '.join(lines)} {rng.choice([question, cap(question)])}", right, wrong


# --- rules -----------------------------------------------------------------------------------------------------------
UP = ["increases", "rises", "goes up", "grows", "climbs", "is high", "is great", "gets higher", "is on the rise"]
DOWN = ["decreases", "falls", "goes down", "shrinks", "drops", "is low", "is small", "gets lower", "is on the fall"]


def rule(rng, x: str, y: str, up: bool) -> str:
    """State a case of "y goes with x", with a gap in place of the answer, after an introduction that says nothing."""
    p, city, day = rng.choice(PEOPLE), rng.choice(W["scene"]["city"]), rng.choice(W["scene"]["day"])
    start = rng.choice(["", "", f"{p} reads about {y} and {x} in {city}. ", f"{p} of {city} knows the {x} there. ",
                        f"on {day} {p} looks at {x} and at {y}. ", f"{p} in {city} asks about {x}. ",
                        f"{p} has a book on {x}. ", f"in {city} {p} works on {y}. ",
                        f"{p} thinks of the {x} of {city}, ", f"{p} from {city} notes it: "])
    more = rng.choice(["more", "much", "a lot of", "an increase in", "higher"] if up
                      else ["less", "little", "a bit of", "a decrease in", "lower"])
    case = rng.choice([f"the {x} {rng.choice(UP if up else DOWN)}", f"there is {more} {x}", f"one has {more} {x}",
                       f"we see {more} {x}", f"{x} {rng.choice(UP if up else DOWN)}", f"they find {more} {x}"])
    blank = rng.choice(["___", "_____", "...", "_", "____", "_____"])
    then = rng.choice([f"the {y} should be {blank}", f"the {y} must {blank}", f"one has {blank} {y}",
                       f"there should be {blank} {y}", f"{y} is to be {blank}", f"we see {blank} {y}",
                       f"{blank} is the {y}", f"they hope for {blank} {y}", f"the {y} , then , is {blank}",
                       f"{p} thinks the {y} to be {blank}"])
    return start + rng.choice([f"as {case}, {then}", f"where {case}, {then}", f"suppose {case}: {then}",
                               f"now that {case}, {then}", f"since {case}, {then}", f"{case}, so {then}",
                               f"{then}, for {case}", f"{case} and {then}", f"{then} as {case}",
                               f"once {case}, {then}"])
