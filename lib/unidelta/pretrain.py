"""Pre-training of the embedded backbone: a small T5 v1.1 and its tokenizer, from nothing but generated text.

`python -m unidelta.pretrain --out FOLDER` rebuilds what `data/backbone/` holds; a run that was killed goes on from its
last checkpoint. What it is trained on is in `unidelta.curriculum`.
"""

import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from unidelta import curriculum
from unidelta.curriculum import RECIPE
from unidelta.files import write
from unidelta.world import skills

PROBED = 100  # items of every skill
# the same in every recipe, and named by every card
BETAS, DECAY = (0.9, 0.98), 0.01  # of AdamW
CLIP = 1.0                        # largest norm of a step's gradients


@torch.inference_mode()
def probe(model, tokenizer) -> dict[str, float]:
    """Share of PROBED newly drawn items of each skill that are answered exactly (greedy decoding)."""
    model.eval()
    result = {}
    for name in skills.SKILLS:
        rng = random.Random(f"probe/1/{name}")
        asked = [skills.skill(rng, name)[1:] for _ in range(PROBED)]
        batch = curriculum.collate(tokenizer, asked)
        out = model.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"],
                             max_new_tokens=16, do_sample=False)
        said = [t.strip() for t in tokenizer.batch_decode(out, skip_special_tokens=True)]
        result[name] = sum(s == t for s, (_, t) in zip(said, asked, strict=True)) / PROBED
    model.train()
    return result


def _untrained(recipe: dict, vocabulary: int) -> T5ForConditionalGeneration:
    config = T5Config(vocab_size=vocabulary, d_model=recipe["d_model"], d_kv=recipe["d_model"] // recipe["num_heads"],
                      d_ff=recipe["d_ff"], num_layers=recipe["num_layers"], num_heads=recipe["num_heads"],
                      relative_attention_num_buckets=48, relative_attention_max_distance=64, dropout_rate=0.0,
                      feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0)
    model = T5ForConditionalGeneration(config)
    # the library ties head and embedding of a model built from a configuration; T5 v1.1 has separate ones
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.shared.weight) * config.d_model ** -0.5)
    return model


def lr_at(step: int, recipe: dict) -> float:
    """Learning rate of a step: up to `lr` in `warmup` steps, flat to `falling_from`, then linear to zero at `steps`."""
    left = (recipe["steps"] - step) / max(recipe["steps"] - recipe["falling_from"], 1)
    return recipe["lr"] * min(step / recipe["warmup"], 1.0, left)


# what a run that was killed at its first checkpoint may have left
SAVED = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
         "special_tokens_map.json", "training.json.tmp"}


def train(out: Path, recipe: dict, every: int = 1000, start: Path | None = None) -> None:
    """Pre-train, and save model, tokenizer, curve and card in `out`, with a checkpoint every `every` steps.

    start: the folder of a finished run to continue, from its last step to the last of `recipe`, instead of starting
    from nothing. A finished run of the same recipe in `out` is left as it is. Raises ValueError if `out` cannot be
    made, if it holds a finished run of another recipe or anything that is no run, or if the loss is no longer finite.
    """
    torch.manual_seed(recipe["seed"])
    checkpoint, record, state = out / "checkpoint.pt", out / "training.json", None
    try:
        out.mkdir(parents=True, exist_ok=True)  # a folder that cannot be written shows before an hour of work
    except OSError as error:
        raise ValueError(f"{out} cannot be made ({error.strerror}); allowed: a new folder") from None
    if not record.exists() and not checkpoint.exists() and {file.name for file in out.iterdir()} - SAVED:
        raise ValueError(f"{out} holds other files, and a model card would replace its README.md; "
                         "allowed: a new or empty folder, or one of an unfinished run")
    if record.exists() and not checkpoint.exists():
        made = json.loads(record.read_text(encoding="utf-8"))
        if made["recipe"] == recipe and made["curve"][-1]["step"] == recipe["steps"]:
            return
        if made["recipe"] != recipe:  # if it is the same, the run was killed before its first checkpoint
            raise ValueError(f"{out} holds a finished run of another recipe; "
                             "allowed: another folder, or the same recipe")
    if checkpoint.exists():
        found = torch.load(checkpoint, weights_only=True)
        state = found if found["recipe"] == recipe else None
    before = json.loads((start / "training.json").read_text(encoding="utf-8")) if start else None
    known = out if state else start
    tokenizer = (PreTrainedTokenizerFast.from_pretrained(known) if known
                 else curriculum.make_tokenizer(recipe["vocabulary"], recipe["seed"]))
    model = T5ForConditionalGeneration.from_pretrained(start) if start else _untrained(recipe, len(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe["lr"], betas=BETAS, weight_decay=DECAY)
    curve, first, spent = [], 0, 0.0
    if before:
        curve = before["curve"]
        first, spent = curve[-1]["step"], curve[-1]["seconds"]
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        curve, first, spent = state["curve"], state["step"], state["seconds"]
    model.train()
    began, running = time.monotonic() - spent, []
    for step, batch in enumerate(curriculum.batches(tokenizer, recipe, first), first):
        if step == recipe["steps"]:
            break
        for group in optimizer.param_groups:
            group["lr"] = lr_at(step + 1, recipe)
        loss = model(**batch).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        running.append(loss.item())
        if (step + 1) % every == 0 or step + 1 == recipe["steps"]:
            seconds = time.monotonic() - began
            curve.append({"step": step + 1, "loss": sum(running) / len(running), "seconds": seconds,
                          **probe(model, tokenizer)})
            running = []
            rate = (step + 1 - first) / (seconds - spent)
            print(json.dumps({k: round(v, 3) for k, v in curve[-1].items()}),
                  f"| {rate:.1f} steps/s, {(recipe['steps'] - step - 1) / rate / 60:.0f} min left", flush=True)
            if not math.isfinite(curve[-1]["loss"]):
                raise ValueError(f"the loss is {curve[-1]['loss']} by step {step + 1}; "
                                 f"try a lower --lr; what was saved before is still in {out}")
            model.save_pretrained(out)
            tokenizer.save_pretrained(out)
            told = json.dumps({"recipe": recipe, "threads": torch.get_num_threads(), "curve": curve}, indent=1)
            write(record, told)
            torch.save({"recipe": recipe, "model": model.state_dict(), "optimizer": optimizer.state_dict(),
                        "curve": curve, "step": step + 1, "seconds": seconds}, checkpoint.with_suffix(".tmp"))
            checkpoint.with_suffix(".tmp").replace(checkpoint)
    write_card(out)
    checkpoint.unlink(missing_ok=True)  # last: without it the run counts as finished


def _told(recipe: dict) -> str:
    """The recipe's schedule and learning rate, in words."""
    drills = "\n".join(f"- {change['drill']} from step {begin:,} ({curriculum.mixture(begin, recipe)['drilled']:.0%})"
                       for begin, change in recipe["schedule"] if change.get("drill"))
    renaming, wording = (next(begin for begin, change in recipe["schedule"] if change.get(what))
                         for what in ("renamed", "worded"))
    last = curriculum.mixture(recipe["steps"], recipe)
    dressed, renamed = (f"{last[what]:.0%}" for what in ("dressed", "renamed"))
    steps, batch, lr, falling, seed = (recipe[k] for k in ("steps", "batch", "lr", "falling_from", "seed"))
    return f"""{dressed} of them under prompts drawn at random, and, from step {renaming:,}, {renamed} of those with
answers to choose from under prompts that give the answers other names; wordings put together at random from step \
{wording:,}.
{steps:,} steps of {batch} items, AdamW, learning rate {lr}, flat to step {falling:,} and then linear to zero,
seed {seed}. Drilled for a while, as a share of the skills' items:

{drills}

"""


def write_card(out: Path) -> None:
    """Write README.md of the folder, every number in it from training.json and config.json.

    In training.json, `remarks`, written by hand, say what the recipe does not, and `told` what a recipe of another form
    did.
    """
    state, config = (json.loads((out / name).read_text(encoding="utf-8")) for name in ("training.json", "config.json"))
    recipe, last = RECIPE | state["recipe"], state["curve"][-1]
    if "told" in state:
        told, again = state["told"], ""
    else:
        told, again = _told(recipe), "Rebuild: `python -m unidelta.pretrain --out FOLDER`. "
    width, vocabulary = config["d_model"], config["vocab_size"]
    layers = f"{config['num_layers']} + {config['num_decoder_layers']} layers"
    size = (out / "model.safetensors").stat().st_size / 2**20
    minutes, threads = last["seconds"] / 60, f"{state['threads']} thread" + "s" * (state["threads"] > 1)
    remarks = "".join(f"\n{remark}\n" for remark in state.get("remarks", []))
    probes = "\n".join(f"| {name} | {last[name]:.2f} |" for name in skills.SKILLS if name in last)
    (out / "README.md").write_text(f"""# The embedded backbone

A T5 v1.1 small enough to travel with the project: d_model {width}, {layers},
{config["num_heads"]} heads of {config["d_kv"]}, gated GELU of width {config["d_ff"]}, untied head, \
{vocabulary} byte-level BPE tokens;
{size:.1f} MB of float32 weights.

Trained from nothing on text that the project generates (`unidelta.world.corpus`, `unidelta.world.skills`; \
about a small world, in English, with no row of
any task): {recipe["text_share"]:.0%} paragraphs with masked spans, the rest skills cast as text to text,
{told}AdamW's betas are {BETAS[0]} and {BETAS[1]}, its weight decay {DECAY}; \
a step's gradients are cut to a norm of {CLIP:g}.
{minutes:.0f} minutes with {threads}. Loss at the end: {last["loss"]:.3f}.
{remarks}
Share of newly drawn skill items answered exactly (greedy decoding, 100 items each; \
some questions have more than one fair answer form):

| skill | exact |
|---|---|
{probes}

It knows little beyond that world: it is a stand-in for T5-base, good for seeing the method at work, not for language.
{again}The learning curve is in training.json. Licence: MIT, like the project.
""", encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--out", type=Path, required=True, help="folder for model, tokenizer and learning curve")
    parser.add_argument("--start", type=Path,
                        help="folder of a finished run to continue, instead of starting from nothing")
    for name, value in RECIPE.items():
        if not isinstance(value, list):  # no option changes the schedule
            parser.add_argument(f"--{name}", type=type(value), default=value)
    args = RECIPE | vars(parser.parse_args(argv))
    out, start = args.pop("out"), args.pop("start")
    if low := [name for name, value in args.items()
               if isinstance(value, (int, float)) and value <= 0 and name != "seed"]:
        parser.error(f"--{low[0]} {args[low[0]]}: allowed are numbers above zero")
    if not 0 < args["text_share"] <= 1 or not args["lr"] < 1 or args["vocabulary"] < 300:
        parser.error("allowed are a --text_share up to 1, an --lr below 1 and a --vocabulary from 300 "
                     "(256 bytes and the special tokens)")
    if start:
        record = start / "training.json"
        if not record.is_file():
            parser.error(f"--start {start}: allowed is the folder of a finished run, with its training.json")
        try:
            done = json.loads(record.read_text(encoding="utf-8"))["curve"][-1]["step"]
        except (ValueError, LookupError, TypeError):
            parser.error(f"--start {start}: its training.json is not one of a finished run")
        if args["steps"] <= done:
            parser.error(f"--steps {args['steps']}: the run in {start} has {done} steps; allowed are more")
    try:
        train(out, args, start=start)
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
