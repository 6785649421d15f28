"""Profiles, the suite, and the command line that fills a store: what is allowed, what it means, one-line errors."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from test_report import grid
from transformers import T5Config

from unidelta import backbone, deltas, params, profiles, run, suite, tasks
from unidelta.projections import KINDS, RATIO
from unidelta.report import costs
from unidelta.sources import mirror
from unidelta.store import Store
from unidelta.studies import __main__ as studies


def test_the_paper_profile_is_the_papers():
    p = profiles.get("paper")
    assert (p.backbone, p.source, p.y, p.variant, p.stack) == ("google/t5-base-lm-adapt", "hub", 4, "paper", 48)
    assert (p.original_lr, p.original_prefix_lr, p.original_batch, p.max_length) == (5e-4, 5e-4, 16, 512)
    config = T5Config(d_model=768, d_kv=64, num_heads=12, num_layers=12, num_decoder_layers=12)
    assert {deltas.make(kind, config, **p.sizes(kind)).numel for kind in KINDS} == {1_105_920}
    assert {profiles.get(name).prefix["reading"] for name in profiles.PROFILES} == {p.prefix["reading"]}, \
        "no profile has a prefix of another kind"


def test_what_the_multi_task_setting_changes_goes_by_its_own_names():
    with pytest.raises(ValueError, match="unknown setting 'multi'; allowed: "):
        profiles.get("embedded", setting="multi", multi={"y": 50})
    assert profiles.get("embedded", setting="multi", y=50).approximate_lr \
        == profiles.get("embedded", setting="multi").approximate_lr


def test_the_paper_profile_has_the_appendixs_multi_task_numbers():
    p, base = profiles.get("paper", setting="multi"), profiles.get("paper")
    assert (p.y, p.approximate_lr, p.approximate_batch * p.approximate_draws, p.approximate_every, p.ratio) \
        == (100, 1e-4, 4, 1000, 10.0)
    assert p.approximate_steps * 4 == 60 * 20000, "one epoch"
    assert p.validation_rows == 240
    assert p.approximate_batch == 1, "every row a task's own"
    assert p.shared_batch * p.shared_draws == 8
    assert p.optimize_steps == base.optimize_steps
    assert p.original_steps == base.original_steps
    assert p.optimize_every == p.shared_optimize_every == base.optimize_every == base.shared_optimize_every == 500
    longer = profiles.get("embedded", setting="multi", optimize_steps=30, optimize_every=3)
    assert (longer.optimize_steps, longer.optimize_every) == (30, 3)
    assert profiles.get("paper", setting="multi", y=20).y == 20
    assert profiles.get("paper", setting="multi", steps=3).approximate_steps == 3
    assert base.setting == "single"


def test_the_page_on_limits_names_the_settings_in_force():
    text, (train, unseen) = (
        (Path(__file__).resolve().parents[1] / "book" / "limits.md").read_text(encoding="utf-8"), suite.multi())
    few, many = profiles.get("embedded"), profiles.get("embedded", setting="multi")
    assert few.ratio is None
    assert many.ratio == RATIO[few.variant]
    assert f"far less: {many.ratio:g}, " in text
    assert "in both settings" in text
    assert few.variant == "released"
    assert "| the released code's: plain distance" in text
    assert f"| {len(train)} of the 60," in text
    assert f"; {len(unseen)} of the 9," in text


def test_the_multi_task_suite_is_brief_and_of_the_papers_tasks():
    train, unseen = suite.multi()
    assert len(train) == len(suite.BRIEF) >= 20
    assert len(unseen) == 8
    assert not set(train) & set(unseen)
    assert suite.multi("hub") == (tasks.names("multi", "train"), tasks.names("multi", "unseen"))
    assert [len(part) for part in suite.multi("hub")] == [60, 9]
    assert set(train) <= set(tasks.names("multi", "train"))
    assert set(unseen) < set(tasks.names("multi", "unseen"))
    served = {*suite.single(), *sum(suite.single().values(), [])}
    for name in (*train, *unseen):
        rows = tasks.rows(name, "train", "embedded")
        assert max(len(text.split()) for _, answers in rows for text in answers) <= 6, name
        assert name in served or name in unseen or sum(len(text.split()) for text, _ in rows) / len(rows) <= 18, name


@pytest.mark.parametrize("name", ["embedded", "mini"])
def test_the_embedded_backbones_deltas_have_equal_budgets(name):
    config = T5Config.from_pretrained(backbone.SHIPPED["embedded"])
    sizes = {kind: deltas.make(kind, config, **profiles.get(name).sizes(kind)).numel for kind in KINDS}
    assert len(set(sizes.values())) == 1, sizes


@pytest.mark.parametrize("name", profiles.PROFILES)
def test_every_profile_passes_its_own_checks(name):
    p = profiles.get(name)
    given = {f: getattr(p, f) for f in p.__dataclass_fields__ if f not in ("name", "cap", "multi")}
    assert profiles.get(name, **given) == p == profiles.get(name, **dict.fromkeys(given))


@pytest.mark.parametrize("options, message", [
    ({"name": "tiny"}, "unknown profile 'tiny'; allowed: embedded, mini, paper"),
    ({"step": 3}, "unknown setting 'step'; allowed: adapter, "),
    ({"y": "4"}, "y='4' must be of type int, like 4"), ({"y": 0}, "y=0 is not allowed: numbers must be above zero"),
    ({"y": True}, "y=True must be of type int"), ({"y": 2.0}, "y=2.0 must be of type int"),
    ({"original_lr": -1e-3}, "original_lr=-0.001 is not allowed"),
    ({"original_lr": float("nan")}, "original_lr=nan is not allowed"),
    ({"patience": -1}, "patience=-1 is not allowed: numbers must be at least zero"),
    ({"ratio": "ten"}, "ratio='ten' must be of type float"), ({"mirror": 3}, "mirror=3 must be of type str"),
    ({"optimize_lrs": ()}, "optimize_lrs=() is not allowed"),
    ({"optimize_lrs": ("fast",)}, "optimize_lrs=('fast',) is not allowed"),
    ({"optimize_lrs": "0.1"}, "optimize_lrs='0.1' must be of type tuple"),
    ({"adapter": 12}, "adapter=12 must be of type dict"),
    ({"variant": "mine"}, "variant='mine' is not allowed; allowed: paper, released"),
    ({"source": "web"}, "source='web' is not allowed; allowed: embedded, mirror, hub"),
    ({"dtype": "int8"}, "dtype='int8' is not allowed; allowed: float32, bfloat16"),
    ({"steps": 0}, "steps=0 must be a whole number from 1"),
    ({"steps": 1.5}, "steps=1.5 must be a whole number from 1"),
    ({"steps": True}, "steps=True must be a whole number from 1"),
], ids=str)
def test_what_is_not_allowed_is_one_line(options, message):
    with pytest.raises(ValueError) as error:
        profiles.get(**options)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_fields_can_be_replaced():
    with pytest.raises(ValueError, match="caps: tran=10 is not allowed; allowed: train, dev, test"):
        profiles.get(caps={"tran": 10})
    assert all(isinstance(v, float) for v in (
        profiles.get(ratio=10).ratio, *profiles.get(optimize_lrs=[1, 0.05]).optimize_lrs)), "10 and 10.0 are one"
    assert profiles.get(lora={"scale": True}).lora["scale"] is True, "`deltas.make` refuses it"
    assert profiles.get(init_seed=0).init_seed == 0
    many = profiles.get("paper", setting="multi")
    assert many.shared_draws * many.fastfood_batch == profiles.get("paper").fastfood_batch == 8, "appendix A.5"
    p = profiles.get("embedded", y=7, optimize_lrs=[0.1, 1], original_lr=1, ratio=0, mirror="somewhere", patience=0)
    assert (p.y, p.optimize_lrs, p.original_lr, p.ratio, p.mirror) == (7, (0.1, 1), 1, 0, "somewhere")


def test_chapter_30_says_how_long_the_stages_of_the_embedded_profile_are():
    steps = {setting: [v for name, v in vars(profiles.get("embedded", setting=setting)).items()
                       if name.endswith("_steps")] for setting in ("single", "multi")}
    assert (min(steps["single"]), max(steps["single"]), max(steps["multi"])) == (50, 1200, 4000)


def test_steps_cap_training_and_scoring_alike():
    p, own = profiles.get("paper", steps=2), profiles.get("paper")
    assert {getattr(p, f"{s}_steps") for s in ("original", "original_prefix", "approximate", "optimize")} == {2}
    assert (p.original_every, p.approximate_every, p.optimize_every) == (2, 2, 2)
    assert p.caps == {"train": None, "dev": 8, "test": 8}
    assert own.caps == {"train": None, "dev": 1000, "test": None}
    assert profiles.get("embedded", steps=10**6).original_steps == profiles.get("embedded").original_steps, \
        "steps only ever lowers"
    assert profiles.get("paper", steps=2, caps={"train": 3, "dev": 4, "test": 50}).caps \
        == {"train": 3, "dev": 4, "test": 50}


# ---- which subspace serves which task


def test_every_category_has_one_training_task():
    assert suite.trainers() == {"SA": "glue-sst2", "NLI": "glue-mnli", "PD": "glue-qqp", "TC": "superglue-wic",
                                "MC-QA": "dream", "LF-QA": "eli5-eli5"}
    assert suite.train_for("scitail") == "glue-mnli"
    assert suite.train_for("glue-mnli") == "glue-mnli"
    assert suite.train_for("qasc") == "dream"
    assert suite.train_for("blimp-anaphor_number_agreement") == "superglue-wic"
    with pytest.raises(ValueError, match="no single-task subspace serves 'wikisql'; allowed: ") as error:
        suite.train_for("wikisql")
    assert "\n" not in str(error.value)
    assert "qasc" in str(error.value)


def test_tasks_are_grouped_by_whether_they_share_label_words():
    unseen = ["rotten_tomatoes", "scitail", "superglue-rte", "glue-mrpc", "superglue-wsc", "codah",
              "blimp-anaphor_number_agreement"]
    assert suite.groups(unseen) == {"label words shared": ["rotten_tomatoes", "scitail", "superglue-wsc", "codah"],
                                    "label words not shared": ["superglue-rte", "glue-mrpc",
                                                               "blimp-anaphor_number_agreement"],
                                    "answers without label words": [], "all": unseen}
    assert suite.groups(["eli5-asks", "superglue-rte"]) == {
        "label words shared": [], "label words not shared": ["superglue-rte"],
        "answers without label words": ["eli5-asks"], "all": ["eli5-asks", "superglue-rte"]}


def test_what_is_shared_is_asked_of_the_training_tasks_that_are_named(monkeypatch):
    assert suite.shares_labels("codah", ["glue-sst2", "dream"]), "one of them has options"
    assert suite.groups(["superglue-rte"], {"superglue-rte": ["superglue-rte"]})["label words shared"] \
        == ["superglue-rte"]
    monkeypatch.setattr(suite, "has", lambda source, mirror, name: name != "glue-mnli")
    assert {"glue-sst2", "glue-mnli"} & set(suite.single("hub")) == {"glue-sst2"}, "no subspace without its rows"


def test_tasks_of_the_multi_task_setting_alone_are_not_of_table_1():
    alone = {name for name in tasks.names("multi", "unseen") if suite.is_multi(name)}
    assert alone == set(tasks.names("multi", "unseen")) - set(tasks.names("single"))


# ---- the command line


@pytest.mark.parametrize("given, message", [
    ("--train sst2", "sst2"),
    ("--train glue-sst2 --profile tiny", "unknown profile 'tiny'; allowed: embedded, mini, paper"),
    ("--train glue-sst2 --seeds one", "--seeds 'one': allowed are whole numbers"),
    ("--train glue-sst2 --seeds 0,", "--seeds '0,'"), ("--train glue-sst2 --tasks rotten", "rotten"),
    ("--train rotten_tomatoes", "'rotten_tomatoes' trains no single-task subspace; allowed: glue-sst2"),
    ("--train glue-sst2 --plane -1", "--plane -1: allowed are whole numbers from 1"),
    ("--train glue-sst2 --source web", "source='web' is not allowed"), ("--train glue-sst2 --source mirror", "mirror"),
    ("--train glue-sst2 --source mirror --mirror nowhere", "nowhere"),
    ("--train glue-sst2 --device tpu", "no device 'tpu'; allowed here: auto, cpu"),
], ids=lambda value: value)
def test_errors_of_the_command_line_are_one_line(given, message, tiny_t5, monkeypatch, tmp_path):
    monkeypatch.delenv("UNIDELTA_MIRROR", raising=False)
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        run.main([*given.split(), "--backbone", tiny_t5])
    assert isinstance(ended.value.code, str), "a message ends the process with status 1"
    assert ended.value.code.startswith("unidelta.run: ")
    assert "\n" not in ended.value.code
    assert message in ended.value.code


@pytest.mark.parametrize("main, given", [
    (run.main, "--train dream --task qasc"), (studies.main, "dimension --task qasc"),
    (mirror.main, "check --tas qasc")])
def test_options_are_not_guessed_from_their_beginnings(main, given, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(given.split())
    assert f"unrecognized arguments: {' '.join(given.split()[-2:])}" in capsys.readouterr().err


def test_seeds_are_named_once_each():
    assert params.seeds("0, 00,1,0") == [0, 1]
    assert params.seeds("2,1") == params.seeds([2, 1]) == [2, 1], "a list, as one edits a cell"
    assert params.seeds(0) == [0]
    for wrong in (None, 1.5, [0, "x"], []):
        with pytest.raises(params.ParameterError, match="allowed are whole numbers"):
            params.seeds(wrong)
    with pytest.raises(params.ParameterError, match="allowed are whole numbers"):
        params.seeds("2²")


def test_an_interrupt_and_a_store_that_cannot_be_written_end_a_command_in_one_line(capsys):
    def interrupted():
        raise KeyboardInterrupt

    def refused():
        raise params.ParameterError("no room")
    for command, code in ((interrupted, 130), (refused, "unidelta.run: no room")):
        with pytest.raises(SystemExit) as ended:
            run.from_shell(command, "unidelta.run")
        assert ended.value.code == code
    assert capsys.readouterr().err == ("unidelta.run: stopped; what is finished is kept, "
                                       "and the same command goes on from there\n")


def test_sizes_and_caps_that_are_not_named_stay_as_they_are():
    embedded = profiles.PROFILES["embedded"]
    assert profiles.get(lora={"rank": 2}).lora == embedded.lora | {"rank": 2}
    assert type(profiles.get(lora={"scale": 2}).lora["scale"]) is float, "2 and 2.0 are one"
    assert profiles.get("mini", caps={"dev": 20}).caps == {"train": 2000, "dev": 20, "test": 300}
    assert profiles.get(mirror=Path("here")).mirror == "here"
    assert profiles.get(optimize_lrs=0.1).optimize_lrs == (0.1,)
    with pytest.raises(ValueError, match="above zero and finite"):
        profiles.get(approximate_lr=float("inf"))
    for rows in (True, 0):
        with pytest.raises(ValueError, match=f"caps: dev={rows} is not allowed"):
            profiles.get(caps={"dev": rows})


def test_the_command_line_exits_non_zero():
    done = subprocess.run([sys.executable, "-m", "unidelta.run", "--train", "glue-sst2", "--profile", "tiny"],
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.strip().splitlines()[-1].startswith("unidelta.run: unknown profile 'tiny'")


def test_a_missing_backbone_is_one_line(tmp_path):
    with pytest.raises(SystemExit) as ended:
        run.main(["--train", "glue-sst2", "--backbone", str(tmp_path / "nothing")])
    assert "allowed: embedded, comparing, rebuilt, shorter, stretches, a local folder" in ended.value.code
    assert "\n" not in ended.value.code


@pytest.fixture
def small_t5(tmp_path):
    """Return a folder that a test may spoil, and a function that gives the error of loading it."""
    folder = Path(tiny.save(tmp_path / "t5"))

    def load():
        with pytest.raises(ValueError, match="no T5 backbone") as error:
            backbone.load(str(folder), device="cpu")
        return str(error.value)
    return folder, load


@pytest.mark.parametrize("change", [
    lambda tensors: tensors.pop("lm_head.weight"),
    lambda tensors: tensors.pop("encoder.block.0.layer.0.SelfAttention.q.weight"),
    lambda tensors: tensors.update({"shared.weight": tensors["shared.weight"][:, :-1].contiguous()})])
def test_a_backbone_without_all_its_weights_is_refused(tmp_path, change):
    folder = shutil.copytree(backbone.SHIPPED["embedded"], tmp_path / "t5")
    change(tensors := load_file(folder / "model.safetensors"))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"^no T5 backbone .*; allowed: embedded, ") as told:
        backbone.load(str(folder))
    assert "\n" not in str(told.value)


def test_a_backbone_without_a_tokenizer_is_refused(small_t5):
    """The library would make a tokenizer out of nothing, one that knows no word."""
    folder, said = small_t5
    for file in (*folder.glob("token*"), *folder.glob("special*"), *folder.glob("chat*")):
        file.unlink()
    assert "its tokenizer does not know plain English, or is missing" in said()


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(small_t5):
    folder, said = small_t5
    tiny.tokenizer(400).save_pretrained(folder)
    assert "its tokenizer has 400 tokens, the model 261" in said()


def test_a_configuration_without_a_first_token_is_completed(tmp_path):
    """transformers saves the configuration of a T5 made by hand like this."""
    folder = Path(tiny.save(tmp_path / "t5"))
    file = folder / "config.json"
    file.write_text(json.dumps(
        {k: v for k, v in json.loads(file.read_text()).items() if k != "decoder_start_token_id"}))
    (folder / "generation_config.json").unlink(missing_ok=True)
    loaded = backbone.load(str(folder), device="cpu")
    ids = torch.tensor([[5, 6, 1]])
    assert loaded.config.decoder_start_token_id == loaded.config.pad_token_id \
        == loaded.model.generate(ids, max_new_tokens=2)[0, 0]
    assert loaded.model(input_ids=ids, labels=ids).loss > 0


def test_the_command_line_fills_the_store(tiny_t5, monkeypatch, tmp_path):
    small = profiles.get("embedded", steps=2, caps={"train": 24, "dev": 8, "test": 8}, max_length=48)
    monkeypatch.setitem(profiles.PROFILES, "embedded", replace(small, name="embedded"))
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path))
    run.main(["--train", "glue-sst2", "--tasks", tiny.TASKS[1], "--seeds", "0",
              "--backbone", tiny_t5, "--device", "cpu"])
    store = Store(tmp_path, "embedded")
    counts = {stage: len(store.all(stage)) for stage in ("original", "approximate", "optimize", "transfer", "controls")}
    assert counts == {"original": 6, "approximate": 1, "optimize": 6, "transfer": 1, "controls": 1}
    assert {a.config["up"] for a in store.all("optimize")} == {"trained", "random"}
    monkeypatch.setattr(run, "landscape", partial(run.landscape, step=4.0))
    run.main(["--train", "glue-sst2", "--tasks", tiny.TASKS[1], "--seeds", "0,1", "--plane", "5",
              "--backbone", tiny_t5, "--device", "cpu"])
    assert {(a.config["task"], a.config["seed"], a.config["rows"]) for a in store.all("landscape")} \
        == {(tiny.TASKS[1], 0, 5)}
    assert len(store.all("transfer")) == 1, "nothing but the plane, and the first seed alone"


def test_faulty_rows_show_before_anything_is_computed(tiny_t5, monkeypatch, tmp_path):
    def data(self, task, seed):
        if task == tiny.TASKS[1]:
            raise ValueError("row 3 is faulty")
    monkeypatch.setenv("UNIDELTA_RUNS", str(tmp_path))
    monkeypatch.setattr(run.Run, "data", data)
    monkeypatch.setattr(run, "original", lambda *given, **options: pytest.fail("it has begun"))
    with pytest.raises(SystemExit, match="^unidelta.run: row 3 is faulty"):
        run.main(["--train", "glue-sst2", "--tasks", tiny.TASKS[1], "--backbone", tiny_t5, "--device", "cpu"])


def test_the_tasks_that_are_not_named_are_those_of_the_source(tiny_t5, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(run.suite, "single", lambda *where: asked.append(where) or {"glue-mnli": ["scitail"]})
    with pytest.raises(SystemExit, match="'glue-sst2' trains no single-task subspace; allowed: glue-mnli"):
        run.main(["--train", "glue-sst2", "--source", "mirror", "--mirror", str(tmp_path), "--backbone", tiny_t5,
                  "--device", "cpu"])
    assert asked == [("mirror", str(tmp_path))]


def test_suggestions_for_mistyped_tasks_name_the_allowed():
    with pytest.raises(ValueError, match="glue-sst2") as error:
        tasks.get("glue-sst")
    assert "\n" not in str(error.value)


def test_the_paper_profile_has_the_appendixs_numbers_of_one_training_task():
    p = profiles.get("paper")
    assert (p.approximate_lr, p.approximate_steps, p.approximate_every, p.approximate_batch, p.approximate_spread) \
        == (5e-5, 100_000, 1000, 8, 0.0)
    assert (p.optimize_lrs, p.optimize_steps, p.optimize_every, p.optimize_batch) == ((1e-2, 5e-2), 5000, 500, 8)
    assert (p.original_steps, p.original_prefix_steps, p.fastfood_steps, p.shared_steps) \
        == (20_000, 20_000, 100_000, 100_000)


def test_the_table_of_what_profiles_fix_has_the_values_that_runs_use():
    found = {row[0]: row[1:] for row in grid(costs.fixed())}
    assert found[""] == [f"{name}, {setting}" for name in profiles.PROFILES for setting in ("single", "multi")]
    assert found["y"] == ["4", "100"] * 3
    assert found["ratio"] == ["0.1", "0.1", "0.1", "0.1", "10.0", "10.0"]
    assert found["optimize_lrs"][-1] == "0.01, 0.05"
    assert found["caps"][2] == "train 2,000, dev 100, test 300"
    assert "init_seed" not in found, "it is the same everywhere"
