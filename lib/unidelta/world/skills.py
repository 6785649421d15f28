"""The skills behind the tasks, asked in other words: the supervised part of the embedded backbone's pre-training.

A skill is an (input, target) pair in which the target follows from the input. Skills are asked with questions and
answer words of their own: no prompt, no label word (except boolq's yes and no) and no whole row of a stand-in occurs
here as a question or as an answer. A chosen option is wrapped in a few words unless a cue asks for it alone, and no
stand-in has that cue. The untuned backbone therefore says "it is ...", which no task counts as right.

A skill of `judging` draws its texts and the ways to ask about them, and leaves the prompt to `unidelta.world.prompts`.
Where the question "" is among the ways, the texts speak for themselves. A skill of `picking` draws a question with its
right and wrong answers.
"""

import random
from functools import partial

from unidelta.world import prompts
from unidelta.world.judging import inference, opinion, paraphrase, reference, reflexive, word_sense
from unidelta.world.picking import choice, offer, relation

SKILLS = {"opinion": opinion, "inference": inference, "deal": partial(inference, deals=True),
          "paraphrase": paraphrase, "sense": word_sense, "reference": reference, "choice": choice, "relation": relation,
          "agreement": reflexive}
PICKS = ("choice", "relation")
# relative frequency of each skill; some are drilled for a while as well (`unidelta.pretrain`)
SHARE = {"opinion": 7, "inference": 13, "deal": 6, "paraphrase": 9, "sense": 2, "reference": 2, "choice": 13,
         "relation": 3, "agreement": 2}


def skill(rng: random.Random, name: str | None = None, dress: float = .7, rename: float = 0.0,
          worded: bool = True) -> tuple[str, str, str]:
    """Draw one item (skill, input, target); the target lacks its leading sentinel.

    dress: the share of items under a random prompt. rename: of the items with answers to choose from, the share whose
    prompt gives the answers other names; how to word an answer then depends on the prompt, not on the skill. worded:
    also use the wordings of `unidelta.world.ways`.
    """
    name = name or rng.choices(list(SHARE), list(SHARE.values()))[0]
    dresses = rng.random() < dress
    if name in PICKS:
        question, answer = offer(rng, SKILLS[name](rng, worded), dresses)
        return name, question.strip(), answer
    parts, ways, right = SKILLS[name](rng, worded)
    bare = [way for way in ways if way[0] == ""]
    question, answers = rng.choice(bare if dresses and bare and rng.random() < .7 else ways)
    if len(answers) > 1 and rng.random() < rename:
        names, answers = prompts.renamed(rng, answers)
        question = rng.choice([f"{question} {names}", f"{names} {question}"]).strip()
    prompt = prompts.dressed if dresses else prompts.plain
    return name, prompt(rng, parts, question).strip(), answers[right]
