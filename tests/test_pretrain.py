"""Pre-training of the embedded backbone: its text and masks, tokenizer, batches, and a short run killed and resumed."""

import hashlib
import json
import random
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import pytest
import torch
from safetensors.torch import load_file
from transformers import T5ForConditionalGeneration

from unidelta import backbone, curriculum, pretrain, suite, tasks
from unidelta.projections import KINDS
from unidelta.report import archive
from unidelta.world import W, corpus, judging, picking, prompts, skills, ways

TINY = curriculum.RECIPE | dict(d_model=16, num_layers=1, num_heads=2, d_ff=24, steps=6, batch=8, warmup=2,
                              vocabulary=2560)


@pytest.fixture(scope="module")
def words():
    return curriculum.make_tokenizer(2560, 0)


@pytest.fixture
def quick(monkeypatch, words):
    """Replace the two slow parts of training: the tokenizer is the one above, and the probe asks few questions."""
    monkeypatch.setattr(curriculum, "make_tokenizer", lambda vocabulary, seed: words)
    monkeypatch.setattr(pretrain, "PROBED", 3)


def test_input_and_target_of_a_masked_text_restore_it():
    rng = random.Random(0)
    counts, shares = set(), []
    for _ in range(300):
        text = corpus.text(rng)
        source, target = curriculum.mask_spans(text, rng)
        parts = {}
        for word in target.split():
            if word in curriculum.SENTINELS:
                parts[word] = []
                current = parts[word]
            else:
                current.append(word)
        assert list(parts) == curriculum.SENTINELS[:len(parts)]
        assert all(parts.values())
        assert [w for w in source.split() if w in curriculum.SENTINELS] == list(parts), "sentinels stand in order"
        restored = [w for word in source.split() for w in parts.get(word, [word])]
        assert " ".join(restored) == " ".join(text.split())
        assert all(1 <= len(span) <= 3 for span in parts.values())
        masked = sum(map(len, parts.values()))
        assert 0 < masked <= 0.5 * len(restored)
        shares.append(masked / len(restored))
        counts.add(len(parts))
    assert 0.15 < sum(shares) / len(shares) < 0.25
    assert counts == {1, 2, 3} or counts == {2, 3}


def test_items_are_text_or_skills_behind_the_first_sentinel():
    rng = random.Random(1)
    items = [curriculum.item(rng, 0.25) for _ in range(2000)]
    assert all(target.startswith("<extra_id_0> ") for _, _, target in items), "as the tasks' answers do"
    assert sum(kind == "text" for kind, _, _ in items) == pytest.approx(500, abs=80)
    assert {kind for kind, _, _ in items} == {"text", *skills.SKILLS}


@pytest.mark.parametrize("text", [
    "plain words", "Zürich 日本語 costs 12.50€", "tabs\tand\nbreaks", "emoji 🙂🏽 and \u200b\u00a0 spaces",
    "  many   blanks  ", "[qasc] (A) _____?", "".join(map(chr, range(1, 256))), "\U0010ffff"])
def test_any_text_can_be_encoded_and_read_back(words, text):
    ids = words(text)["input_ids"]
    assert ids[-1] == words.eos_token_id
    assert words.unk_token_id not in ids
    assert words.decode(ids[:-1], clean_up_tokenization_spaces=False) in (text, " " + text)


def test_special_tokens_have_their_places(words):
    assert [words.pad_token_id, words.eos_token_id, words.unk_token_id] == [0, 1, 2]
    assert words.convert_tokens_to_ids(curriculum.SENTINELS) == list(range(3, 11))
    assert len(words) <= 2560
    assert words("<extra_id_0>positive")["input_ids"][0] == 3
    assert words.decode(words("<extra_id_0>positive")["input_ids"], skip_special_tokens=True).strip() == "positive"


def test_all_pieces_of_label_words_are_said_in_pretraining():
    """With the shipped tokenizer: a token that was never a target is pushed down in every state.

    No delta can learn to say it."""
    tokenizer, rng = backbone.load("embedded").tokenizer, random.Random(4)
    # as many targets as 5,000 steps have
    targets = tokenizer([curriculum.mask_spans(corpus.text(rng), rng)[1] for _ in range(60000)])
    said = {token for row in targets["input_ids"] for token in row}
    names = {*suite.single(), *(name for some in (*suite.single().values(), *suite.multi()) for name in some)}
    labels = {(name, word) for name in names for word in tasks.get(name).labels or []}
    missing = {(name, word) for name, word in labels
               if not set(tokenizer("<extra_id_0>" + word)["input_ids"]) <= said}
    assert len(labels) > 20
    assert not missing


def test_prompts_cost_few_tokens(words):
    assert len(words.tokenize(" [glue-sst2] sentence:")) <= 10
    assert len(words.tokenize(" not_entailment")) <= 4


def test_batches_resume_where_they_were(words):
    whole = list(zip(range(20), curriculum.batches(words, TINY | {"steps": 20}, 0), strict=False))
    assert len(whole) == 20
    for start in (3, 8, 13):
        for (step, expected), batch in zip(
                whole[start:], curriculum.batches(words, TINY | {"steps": 20}, start), strict=False):
            assert all(torch.equal(expected[name], batch[name]) for name in expected), f"step {step} from {start}"
    assert not torch.equal(whole[0][1]["labels"], whole[1][1]["labels"])
    assert all(len(batch["input_ids"]) == 8 for _, batch in whole)


def test_batches_are_padded_with_what_the_loss_ignores(words):
    batch = curriculum.collate(words, [("a b c d e f", "<extra_id_0> x"), ("a", "<extra_id_0> x y z")])
    assert batch["attention_mask"].tolist()[1][-1] == 0
    assert batch["input_ids"][1, -1] == 0
    assert batch["labels"][0, -1] == -100
    assert (batch["labels"] == words.eos_token_id).sum() == 2


def test_the_rate_warms_up_stays_flat_and_ends_at_zero():
    recipe = {"lr": 1.0, "warmup": 10, "falling_from": 50, "steps": 100}
    rates = [pretrain.lr_at(step, recipe) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert rates[9:50] == [1.0] * 41, "flat until it begins to fall"
    assert rates[50:] == pytest.approx([(100 - s) / 50 for s in range(51, 101)])
    assert rates[-1] == 0.0
    assert pretrain.lr_at(20, recipe | {"steps": 40}) == 1.0
    assert pretrain.lr_at(40, recipe | {"steps": 40}) == 0.0, "a run that ends before it falls"


def test_the_mixture_of_a_step_is_what_the_schedule_says_up_to_it():
    recipe = {"schedule": [[0, {"dressed": 0.2, "drill": None}], [8, {"drill": "deal"}], [16, {"dressed": 0.7}]]}
    assert [curriculum.mixture(step, recipe) for step in (0, 7, 8, 16)] == [
        {"dressed": 0.2, "drill": None}, {"dressed": 0.2, "drill": None},
        {"dressed": 0.2, "drill": "deal"}, {"dressed": 0.7, "drill": "deal"}]
    begins = [begin for begin, _ in curriculum.RECIPE["schedule"]]
    assert begins == sorted(set(begins))
    assert begins[0] == 0
    assert begins[-1] < curriculum.RECIPE["steps"]
    drilled = [change["drill"] for _, change in curriculum.RECIPE["schedule"] if change.get("drill")]
    assert drilled
    assert set(drilled) <= set(skills.SKILLS)


def test_a_drill_is_drawn_as_often_as_asked():
    rng = random.Random(3)
    drawn = [curriculum.item(rng, 0.0, drill="relation", drilled=0.6)[0] for _ in range(2000)]
    usual = skills.SHARE["relation"] / sum(skills.SHARE.values())
    assert sum(name == "relation" for name in drawn) / 2000 == pytest.approx(0.6 + 0.4 * usual, abs=0.05)
    assert set(drawn) == set(skills.SKILLS), "none is forgotten"


@pytest.mark.parametrize("name, made", [
    ("opinion", "review"), ("inference", "scene"), ("deal", "deal"), ("choice", "talk"), ("relation", "rule")])
def test_the_many_wordings_come_when_they_are_asked_for(monkeypatch, name, made):
    met, rng = [], random.Random(1)
    whole = getattr(ways, made)
    monkeypatch.setattr(ways, made, lambda *args: (met.append(made), whole(*args))[1])
    for _ in range(60):
        skills.skill(rng, name, worded=False)
    assert not met
    for _ in range(60):
        skills.skill(rng, name)
    assert met


def test_a_prompt_that_renames_the_answers_holds_the_one_to_say(monkeypatch):
    rng, given, rename = random.Random(2), [], prompts.renamed
    clause, names = rename(rng, ("yes", "no", "maybe"))
    assert len(set(names)) == 3
    assert all(word in clause for word in (*names, "yes", "no", "maybe"))
    monkeypatch.setattr(prompts, "renamed", lambda rng, answers: (given.append(rename(rng, answers)), given[-1])[1])
    for share, expected in ((0.0, 0), (1.0, 200)):
        count = 0
        for _ in range(200):
            given.clear()
            _, question, answer = skills.skill(rng, "inference", rename=share)
            assert not given or given[0][0] in question and answer in given[0][1]
            count += len(given)
        assert count == expected


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_what_rises_is_told_more_often_than_what_falls(monkeypatch):
    """If both were as frequent, neither the sign nor the direction alone would tell anything about the answer."""
    ups, rng = [], random.Random(0)
    monkeypatch.setattr(picking.ways, "rule", lambda rng, x, y, up: ups.append(up) or "so")
    for _ in range(2000):
        picking.relation(rng)
    assert sum(ups) / len(ups) == pytest.approx(0.8, abs=0.03)


def test_a_pronoun_fits_the_one_who_acts_and_nobody_else_about():
    rng, people = random.Random(0), W["people"]
    fits = {"himself": people["male"] + people["he"], "herself": people["female"] + people["she"],
            "themselves": people["they"]}
    others = 0
    for _ in range(500):
        words = corpus.agreement(rng).replace(",", "").removesuffix(".").split()
        one, = set(fits) & set(words)
        about = [word for word in words if any(word in names for names in fits.values())]
        assert sum(word in fits[one] for word in about) == 1, words
        assert len(about) <= 2, words
        others += len(about) - 1
    assert others > 250
    for _ in range(200):
        texts, ways, right = judging.reflexive(rng)
        if len(texts) == 2:
            pronouns = [set(fits) & set(text.split()) for text in texts]
            assert pronouns[0] != pronouns[1]
            assert texts[0].split()[:2] == texts[1].split()[:2]
            assert sum(word.strip(",.") in fits[min(pronouns[right])] for word in texts[right].split()) == 1


def test_items_are_drawn_by_the_schedule(words, monkeypatch):
    met = []
    monkeypatch.setattr(curriculum, "item", lambda rng, text, drill: (
        met.append(drill), ("text", "a", "<extra_id_0> b"))[1])
    recipe = TINY | {"steps": 40, "schedule": [[0, {"drill": None}], [16, {"drill": "deal"}], [32, {"drill": None}]]}
    assert len(list(zip(range(40), curriculum.batches(words, recipe, 0), strict=False))) == 40
    assert met == 2 * 64 * [None] + 2 * 64 * ["deal"] + 64 * [None], "64 items to a block of eight steps"


def test_a_short_run_leaves_a_backbone_that_loads(quick, tmp_path, capsys, words):
    pretrain.train(tmp_path, TINY, every=4)
    loaded = backbone.load(str(tmp_path), device="cpu")
    assert not torch.equal(loaded.model.lm_head.weight, loaded.model.shared.weight), \
        "T5 v1.1 has head and embedding apart"
    assert loaded.model.lm_head.weight.data_ptr() != loaded.model.shared.weight.data_ptr()
    assert torch.equal(loaded.model.lm_head.weight, weights(tmp_path)["lm_head.weight"])
    assert loaded.config.is_gated_act
    assert loaded.config.feed_forward_proj == "gated-gelu"
    assert loaded.config.decoder_start_token_id == 0
    assert not any(p.requires_grad for p in loaded.model.parameters())
    assert not loaded.model.training
    text = "Zürich [glue-sst2] sentence: it is fine"
    assert loaded.tokenizer(text)["input_ids"] == words(text)["input_ids"], \
        "the tokenizer that is loaded is the one that was saved"
    training = json.loads((tmp_path / "training.json").read_text())
    assert training["recipe"] == TINY
    assert [line["step"] for line in training["curve"]] == [4, 6], "the last step is saved, whatever the interval"
    assert set(skills.SKILLS) < set(training["curve"][0])
    assert capsys.readouterr().out.count("steps/s") == 2
    assert not list(tmp_path.glob("checkpoint*")), "a finished run leaves no checkpoint"
    pretrain.train(tmp_path, TINY, every=4)
    assert capsys.readouterr().out == "", "and is not repeated"
    cut = training | {"curve": training["curve"][:1]}
    (tmp_path / "training.json").write_text(json.dumps(cut))
    pretrain.train(tmp_path, TINY, every=4)
    assert capsys.readouterr().out.count("steps/s") == 2, \
        "one that was killed before its first checkpoint is no finished run"
    with pytest.raises(ValueError, match="holds a finished run of another recipe"):
        pretrain.train(tmp_path, TINY | {"batch": 9})
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    begin, drill = next((begin, change["drill"]) for begin, change in TINY["schedule"] if change.get("drill"))
    assert f"- {drill} from step {begin:,} ({curriculum.mixture(begin, TINY)['drilled']:.0%})" in card
    assert "d_model 16, 1 + 1 layers" in card
    assert "6 steps" in card
    assert f"Loss at the end: {training['curve'][-1]['loss']:.3f}" in card


def test_the_optimiser_is_the_one_on_the_card(quick, tmp_path, monkeypatch):
    made, cut = [], []
    adam, clip = torch.optim.AdamW, torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.optim, "AdamW", lambda tensors, **given: (made.append(given), adam(tensors, **given))[1])
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda given, most: (cut.append(most), clip(given, most)))
    (tmp_path / "training.json.tmp").write_text("a run killed while it wrote this left it", encoding="utf-8")
    pretrain.train(tmp_path, TINY)
    assert made == [{"lr": TINY["lr"], "betas": (0.9, 0.98), "weight_decay": 0.01}]
    assert cut == [1.0] * TINY["steps"]
    card = " ".join((tmp_path / "README.md").read_text(encoding="utf-8").split())
    assert "betas are 0.9 and 0.98, its weight decay 0.01; a step's gradients are cut to a norm of 1." in card
    assert not (tmp_path / "training.json.tmp").exists()


def test_the_probe_asks_the_same_at_every_step(quick, words, monkeypatch):
    asked, collate = [], curriculum.collate

    def heard(tokenizer, items):
        asked.append(items)
        return collate(tokenizer, items)

    monkeypatch.setattr(curriculum, "collate", heard)
    model = pretrain._untrained(TINY, len(words))
    first, second = pretrain.probe(model, words), pretrain.probe(model, words)
    assert first == second
    assert asked[:len(skills.SKILLS)] == asked[len(skills.SKILLS):]
    assert model.training, "and training goes on"


def test_a_killed_run_goes_on_to_the_same_weights(quick, tmp_path, monkeypatch):
    pretrain.train(tmp_path / "whole", TINY, every=2)
    rate = pretrain.lr_at

    def die(step, recipe):
        if step == 6:
            raise KeyboardInterrupt
        return rate(step, recipe)

    monkeypatch.setattr(pretrain, "lr_at", die)
    with pytest.raises(KeyboardInterrupt):
        pretrain.train(tmp_path / "killed", TINY, every=2)
    steps = []
    monkeypatch.setattr(pretrain, "lr_at", lambda step, recipe: (steps.append(step), rate(step, recipe))[1])
    monkeypatch.setattr(curriculum, "make_tokenizer", lambda vocabulary, seed: pytest.fail(
        "a run goes on with the tokenizer it began with"))
    pretrain.train(tmp_path / "killed", TINY, every=2)
    assert steps == [5, 6], "steps 1 to 4 are not done again"
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert set(whole) == set(killed)
    assert all(torch.equal(whole[n], killed[n]) for n in whole)
    curves = [[{k: v for k, v in line.items() if k != "seconds"}
               for line in json.loads((tmp_path / run / "training.json").read_text())["curve"]]
              for run in ("whole", "killed")]
    assert curves[0] == curves[1]
    assert len(curves[0]) == 3


def test_a_finished_run_is_gone_on_with(quick, tmp_path, monkeypatch):
    pretrain.train(tmp_path / "first", TINY, every=3)
    steps = []
    monkeypatch.setattr(pretrain, "lr_at", lambda step, recipe: (steps.append(step), 0.0)[1])
    pretrain.train(tmp_path / "more", TINY | {"steps": 9}, every=3, start=tmp_path / "first")
    first, more = weights(tmp_path / "first"), weights(tmp_path / "more")
    assert steps == [7, 8, 9]
    assert all(torch.equal(first[n], more[n]) for n in first), "at a rate of zero the weights stay as they were"
    curves = [json.loads((tmp_path / run / "training.json").read_text())["curve"] for run in ("first", "more")]
    assert curves[1][:2] == curves[0]
    assert [line["step"] for line in curves[1]] == [3, 6, 9]
    assert curves[1][2]["seconds"] > curves[0][1]["seconds"]


@pytest.mark.parametrize("option, value", [
    ("lr", "inf"), ("lr", "nan"), ("batch", "0"), ("text_share", "2"), ("text_share", "nan"), ("vocabulary", "3")])
def test_numbers_that_make_no_backbone_are_refused(tmp_path, capsys, option, value):
    with pytest.raises(SystemExit):
        pretrain.main(["--out", str(tmp_path / "x"), "--steps", "2", f"--{option}", value])
    assert "allowed are" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_loss_that_is_not_finite_ends_a_run(tmp_path, monkeypatch, capsys):
    plain = pretrain._untrained
    monkeypatch.setattr(pretrain, "_untrained", lambda *given: plain(*given).requires_grad_().apply(
        lambda part: part.weight.data.fill_(float("nan")) if isinstance(part, torch.nn.Embedding) else None))
    with pytest.raises(SystemExit):
        pretrain.main(["--out", str(tmp_path / "x"), "--steps", "1", "--batch", "2", "--vocabulary", "400"])
    assert "the loss is nan by step 1; try a lower --lr" in capsys.readouterr().err
    assert not list((tmp_path / "x").iterdir())


@pytest.mark.parametrize("steps, message", [(None, "training.json"), ("6", "has 6 steps; allowed are more")])
def test_what_cannot_be_gone_on_with_is_one_line(tmp_path, capsys, steps, message):
    if steps:
        (tmp_path / "training.json").write_text(json.dumps({"curve": [{"step": 6}]}))
    with pytest.raises(SystemExit) as ended:
        pretrain.main(["--out", str(tmp_path / "more"), "--start", str(tmp_path),
                       *(["--steps", steps] if steps else [])])
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert ended.value.code == 2
    assert message in last
    assert not (tmp_path / "more").exists()


def test_another_recipe_does_not_take_up_the_checkpoint(quick, tmp_path, monkeypatch):
    rate, steps = pretrain.lr_at, []

    def die(step, recipe):
        if step == 4:
            raise KeyboardInterrupt
        return rate(step, recipe)

    monkeypatch.setattr(pretrain, "lr_at", die)
    with pytest.raises(KeyboardInterrupt):
        pretrain.train(tmp_path, TINY, every=2)
    monkeypatch.setattr(pretrain, "lr_at", lambda step, recipe: (steps.append(step), rate(step, recipe))[1])
    pretrain.train(tmp_path, TINY | {"lr": 1e-3}, every=2)
    assert steps[0] == 1


@pytest.mark.parametrize("name", ["nowhere", "bert", "broken"])
def test_what_is_no_t5_is_one_line(tmp_path, words, name):
    folder = tmp_path / name
    if name != "nowhere":
        words.save_pretrained(folder)
        kind = "bert" if name == "bert" else "t5"
        (folder / "config.json").write_text(json.dumps(
            {"model_type": kind, "architectures": ["T5ForConditionalGeneration"], "d_model": 16}))
        (folder / "model.safetensors").write_bytes(b"not tensors at all")
    with pytest.raises(ValueError, match="allowed: embedded, comparing, rebuilt, shorter, stretches, "
                                         "a local folder with a T5") as error:
        backbone.load(str(folder))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("options, message", [({"dtype": "int8"}, "unknown dtype 'int8'; allowed: float32, bfloat16"),
                                              ({"device": "tpu"}, "no device 'tpu'; allowed here: auto, cpu"),
                                              ({"device": "cuda:9"}, "no device 'cuda:9'; allowed here: auto, cpu")])
def test_unknown_options_of_a_backbone_are_one_line(tiny_t5, options, message):
    with pytest.raises(ValueError, match=message):
        backbone.load(tiny_t5, **options)


def test_a_missing_embedded_backbone_is_said_so_without_a_look_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setitem(backbone.SHIPPED, "embedded", tmp_path / "backbone")
    with pytest.raises(ValueError, match="no T5 backbone 'embedded'"):
        backbone.load("embedded")


def test_the_fingerprint_follows_weights_and_words(tmp_path):
    import tiny
    names = {"a": {}, "same": {}, "weights": {"seed": 1}, "words": {"vocabulary": 262}}
    prints = {name: backbone.load(tiny.save(tmp_path / name, **options)).fingerprint for name, options in names.items()}
    assert prints["a"] == prints["same"]
    assert len(set(prints.values())) == 3


def test_a_folder_whose_files_have_changed_is_read_again(tmp_path):
    import tiny
    folder = tiny.save(tmp_path / "t5")
    (tmp_path / "t5" / "notes").symlink_to(tmp_path / "gone")  # a link that leads nowhere is no file of the network
    first = backbone.load(folder, device="cpu")
    assert backbone.load(folder, device="cpu") is first, "what is loaded is kept"
    tiny.save(tmp_path / "t5", seed=1)
    again = backbone.load(folder, device="cpu")
    assert again.fingerprint != first.fingerprint
    assert torch.equal(again.model.lm_head.weight, weights(tmp_path / "t5")["lm_head.weight"])


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    """A model card is called README.md, and a project has one, too."""
    (tmp_path / "README.md").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match="holds other files.*; allowed: a new or empty folder"):
        pretrain.train(tmp_path, TINY)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "mine"
    with pytest.raises(ValueError, match="README.md cannot be made"):
        pretrain.train(tmp_path / "README.md", TINY)
    assert [file.name for file in tmp_path.iterdir()] == ["README.md"]


def altered(tmp_path, name, file, **changes) -> str:
    """A tiny T5 of which one of the JSON files has been changed."""
    import tiny
    folder = Path(tiny.save(tmp_path / name))
    told = json.loads((folder / file).read_text(encoding="utf-8"))
    (folder / file).write_text(json.dumps(told | changes), encoding="utf-8")
    return str(folder)


def test_the_fingerprint_follows_what_the_network_computes_with(tmp_path):
    """Two folders of the same weights and words may read a text in other pieces, or place it otherwise."""
    import tiny
    whole = tiny.save(tmp_path / "whole", vocabulary=300)
    merges = json.loads((Path(whole) / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    found = {backbone.load(folder).fingerprint for folder in (
        whole, altered(tmp_path, "norm", "config.json", layer_norm_epsilon=1e-3),
        altered(tmp_path, "far", "config.json", relative_attention_max_distance=16))}
    assert len(found) == 3
    short = Path(tiny.save(tmp_path / "short", vocabulary=300))
    told = json.loads((short / "tokenizer.json").read_text(encoding="utf-8"))
    (short / "tokenizer.json").write_text(json.dumps(told | {"model": merges | {"merges": merges["merges"][:5]}}))
    assert backbone.load(str(short)).fingerprint not in found
    before = backbone.load(whole)
    before.tokenizer(["a", "a b c"], padding=True, truncation=True, max_length=2)
    assert backbone._fingerprint(before.model.state_dict(), before.tokenizer, before.config) == before.fingerprint, \
        "how it was last called is none of it"


def test_the_fingerprint_follows_every_setting_of_the_network(tiny_t5):
    t5, settings = backbone.load(tiny_t5), (
        "d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "is_gated_act", "dense_act_fn",
        "relative_attention_num_buckets", "scale_decoder_outputs", "tie_word_embeddings", "decoder_start_token_id",
        "eos_token_id")
    own = {name: getattr(t5.config, name, None) for name in backbone.COMPUTES}
    prints = {backbone._fingerprint({}, t5.tokenizer, SimpleNamespace(**own | {name: 99})) for name in settings}
    assert len(prints - {backbone._fingerprint({}, t5.tokenizer, t5.config)}) == len(settings)


def test_the_shipped_backbones_are_what_their_fingerprints_were_taken_of():
    """These hash weights and words alone, so that what is archived keeps its name: the rest is held here."""
    for name, folder in backbone.SHIPPED.items():
        t5 = backbone.load(name)
        assert backbone._fingerprint(t5.model.state_dict(), t5.tokenizer, None) == t5.fingerprint, "as its file says"
        config = t5.config
        assert (config.num_layers, config.num_decoder_layers, config.d_model, config.num_heads, config.d_kv,
                config.d_ff, config.relative_attention_num_buckets, config.relative_attention_max_distance,
                config.layer_norm_epsilon) == (2, 2, 64, 4, 16, 168, 48, 64, 1e-6), name
        rules = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        assert len(rules["model"]["merges"]) + 256 + len(rules["added_tokens"]) == 2560, name


def test_decoding_is_greedy_whatever_a_folder_says(tmp_path):
    folder = altered(tmp_path, "odd", "generation_config.json", no_repeat_ngram_size=1, min_new_tokens=5, num_beams=4)
    told = backbone.load(folder).model.generation_config.to_diff_dict()
    assert not {"no_repeat_ngram_size", "min_new_tokens", "num_beams"} & set(told)
    with pytest.raises(ValueError, match="its padding token is 3, and 0 is needed"):
        backbone.load(altered(tmp_path, "padded", "config.json", pad_token_id=3))


def test_the_default_is_one_run_of_the_recipe(words):
    record = json.loads((backbone.SHIPPED["embedded"] / "training.json").read_text(encoding="utf-8"))
    assert record["recipe"] == json.loads(json.dumps(curriculum.RECIPE))
    assert set(record) == {"recipe", "threads", "curve"}, "nothing to tell beside it"
    assert [point["step"] for point in record["curve"]] == list(range(1000, curriculum.RECIPE["steps"] + 1, 1000))
    assert backbone.load("embedded").tokenizer.get_vocab() == words.get_vocab(), "the words of today's text and skills"


def test_the_default_was_trained_on_what_is_drawn_today(monkeypatch):
    """The block of items after each change of the recipe is to the letter what it was when the default was trained."""
    monkeypatch.setattr(curriculum, "collate", lambda words, pairs: pairs)
    digest = hashlib.sha256()
    for begin, _ in curriculum.RECIPE["schedule"]:
        for pairs in islice(curriculum.batches(None, curriculum.RECIPE, begin), 8):
            digest.update(repr(pairs).encode())
    assert digest.hexdigest().startswith("e5da52c274e4bc58")


def test_a_run_from_nothing_begins_with_a_network_of_the_defaults_shape():
    shipped, fresh = backbone.load("embedded").model.config, pretrain._untrained(curriculum.RECIPE, 2560).config
    assert {name: getattr(fresh, name) for name in backbone.COMPUTES if name != "dense_act_fn"} \
        == {name: getattr(shipped, name) for name in backbone.COMPUTES if name != "dense_act_fn"}
    assert (fresh.vocab_size, fresh.dropout_rate) == (shipped.vocab_size, 0.0)


def test_the_default_is_held_to_the_rule_it_was_taken_by():
    """In its own space, every delta learns every stand-in: 15 points over chance on development rows.

    The score is the mean of three seeds (book/choices.md, step 12)."""
    kept, dev = archive.load("backbones")["unchanged"], {}
    assert backbone.load("embedded").fingerprint in kept.line
    with ZipFile(archive.FOLDER / kept.folder / archive.PACKED) as packed:
        for name in (i for i in kept.ids if i.startswith("original/")):
            config, scored = (json.loads(packed.read(f"{name}/{part}.json")) for part in ("config", "metrics"))
            dev.setdefault((config["config"]["task"], config["config"]["kind"]), []).append(
                100 * scored["metrics"]["dev"])
    chance = kept.frame.groupby("task").chance.mean()
    assert len(chance) == 9
    assert {len(dev[task, kind]) for task in chance.index for kind in KINDS} == {3}
    assert all(sum(dev[task, kind]) / 3 - chance[task] >= 15 for task in chance.index for kind in KINDS)


@pytest.mark.parametrize("name", backbone.SHIPPED)
def test_cards_of_the_shipped_backbones_follow_from_their_records(name, tmp_path):
    for file in ("README.md", "training.json", "config.json", "model.safetensors"):
        (tmp_path / file).write_bytes((backbone.SHIPPED[name] / file).read_bytes())
    before, record = ((tmp_path / "README.md").read_text(encoding="utf-8"),
                      json.loads((tmp_path / "training.json").read_text(encoding="utf-8")))
    pretrain.write_card(tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == before
    assert record["curve"][-1]["step"] == record["recipe"]["steps"]
    assert (tmp_path / "model.safetensors").stat().st_size < 8 * 2**20


def test_the_fused_activation_is_the_same_function(tiny_t5):
    """A backbone is loaded with another name for its activation, for speed."""
    fused, plain = backbone.load(tiny_t5).model, T5ForConditionalGeneration.from_pretrained(tiny_t5).eval()
    assert (fused.config.dense_act_fn, plain.config.dense_act_fn) == ("gelu_pytorch_tanh", "gelu_new")
    ids = torch.arange(5, 25).view(2, 10)
    with torch.no_grad():
        torch.testing.assert_close(fused(input_ids=ids, labels=ids).logits, plain(input_ids=ids, labels=ids).logits,
                                   rtol=1e-5, atol=1e-6)
