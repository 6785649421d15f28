"""The deltas against the released code's results, against PEFT, and against themselves one solution at a time."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import silu
from transformers import T5Config, T5ForConditionalGeneration

from unidelta import deltas

SIZES = {
    "adapter": {"bottleneck": 3},
    "lora": {"rank": 2, "scale": 1.5},
    "prefix": {"length": 5, "hidden": 3, "init_std": 1.0},
}
KINDS = list(SIZES)


def tiny_config(**changes):
    # heads * d_kv differs from d_model and the two stacks differ in depth, so that no size can stand in for another.
    # (The decoder is the shallower one: transformers 5.23 sizes the cache of `generate` by num_layers.)
    shape = {"d_model": 32, "d_kv": 8, "num_heads": 3, "num_layers": 3, "num_decoder_layers": 2, "d_ff": 48}
    shape |= {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 12, "vocab_size": 60}
    options = {"feed_forward_proj": "gated-gelu", "decoder_start_token_id": 0, "dropout_rate": 0.1}
    return T5Config(**(shape | options | changes))


def tiny_t5(**changes):
    torch.manual_seed(0)
    return T5ForConditionalGeneration(tiny_config(**changes)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def model():
    return tiny_t5()


def solutions(model, kind, k, seed=1, **sizes):
    """Return a delta and k solutions that change what the network does: the initialisation plus noise."""
    delta = deltas.make(kind, model.config, **(SIZES[kind] | sizes))
    noise = torch.randn(k, delta.numel, generator=torch.Generator().manual_seed(seed))
    return delta, delta.init(seed) + 0.3 * noise


def batch_of(rows, seed=3, length=9):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(rows, length, dtype=torch.long)
    mask[::2, -3:] = 0
    ids = torch.randint(1, 60, (rows, length), generator=generator)
    labels = torch.randint(1, 60, (rows, 6), generator=generator)
    return {"input_ids": ids * mask, "attention_mask": mask, "labels": labels}


def rows_of(batch, start, stop):
    return {name: tensor[start:stop] for name, tensor in batch.items()}


def logits(model, entries, batch):
    with torch.no_grad(), deltas.applied(model, entries):
        return model(**batch).logits


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


# ---- layout, initialisation, bad input


@pytest.mark.parametrize("kind", KINDS)
def test_every_delta_has_the_papers_budget_on_t5_base(kind):
    config = T5Config(d_model=768, d_kv=64, num_heads=12, num_layers=12, num_decoder_layers=12)
    delta = deltas.make(kind, config)
    assert delta.numel == 1_105_920 == delta.init(0).numel()
    assert delta.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_views_and_blocks_show_the_flat_vector_in_order(model, kind):
    delta, theta = solutions(model, kind, 2)
    views = delta.views(theta)
    assert [(name, tuple(view.shape[1:])) for name, view in views.items()] == list(delta.shapes)
    assert torch.equal(torch.cat([view.flatten(1) for view in views.values()], dim=1), theta)
    views[delta.shapes[-1][0]][1].zero_()
    assert theta[1, -1] == 0
    blocks = delta.blocks(theta)
    assert sum(block[0].numel() for block in blocks) == delta.numel
    firsts = [views[name] for name, _ in delta.shapes[: len(blocks)]]
    assert all(torch.equal(block[:, 0], first) for block, first in zip(blocks, firsts, strict=True))
    assert len(blocks) == (2 if kind != "prefix" else 6)


def test_flat_order_is_encoder_then_decoder_by_sublayer(model):
    names = [name for name, _ in deltas.make("adapter", model.config).shapes]
    sites = [*(f"encoder.{i}.{s}" for i in range(3) for s in ("self", "ff"))]
    sites += [f"decoder.{i}.{s}" for i in range(2) for s in ("self", "cross", "ff")]
    assert names == [f"{site}.{matrix}" for site in sites for matrix in ("down", "up")]
    lora = deltas.make("lora", model.config, rank=2)
    first = [("encoder.0.self.q.A", (32, 2)), ("encoder.0.self.q.B", (2, 24)), ("encoder.0.self.v.A", (32, 2))]
    assert list(lora.shapes[:3]) == first
    assert lora.shapes[-1] == ("decoder.1.cross.v.B", (2, 24))
    assert lora.scale == 8.0


def test_initialisation_follows_the_released_code(model):
    config = tiny_config(d_model=256)
    adapter = deltas.make("adapter", config)
    assert torch.equal(adapter.init(5), adapter.init(5))
    assert not torch.equal(adapter.init(5), adapter.init(6))
    assert adapter.init(0).std().item() == pytest.approx(0.02, rel=0.03)
    lora = deltas.make("lora", config, rank=4)
    views = lora.views(lora.init(0)[None])
    assert all((view == 0).all() == name.endswith(".B") for name, view in views.items())
    assert 0.49 < views["encoder.0.self.q.A"].abs().max() <= 0.5  # 1 / sqrt(rank)
    prefix = deltas.make("prefix", config, length=40, hidden=16)
    views = prefix.views(prefix.init(0)[None])
    assert views["encoder.embedding"].std().item() == pytest.approx(0.02, rel=0.05)
    assert 0.9 / 16 < views["decoder.linear1"].abs().max() <= 1 / 16  # 1 / sqrt(d_model)
    assert 0.9 / 4 < views["decoder.linear2"].abs().max() <= 1 / 4  # 1 / sqrt(hidden)
    wide = deltas.make("prefix", config, length=40, hidden=16, init_std=1.0)
    assert wide.views(wide.init(0)[None])["encoder.embedding"].std().item() == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize(
    ("kind", "sizes", "allowed"),
    [
        ("bitfit", {}, "adapter, lora, prefix"),
        ("adapter", {"rank": 4}, "bottleneck"),
        ("lora", {"rank": 0}, "above zero"),
        ("lora", {"scale": -1.0}, "above zero"),
        ("lora", {"scale": True}, "above zero"),
        ("prefix", {"init_std": math.inf}, "above zero"),
        ("prefix", {"length": 2.5}, "whole number"),
        ("prefix", {"reading": "upside down"}, "released, natural"),
        ("prefix", {"bias": "some"}, "relative, zero"),
    ],
)
def test_bad_input_names_what_is_allowed(model, kind, sizes, allowed):
    with pytest.raises(ValueError, match=allowed) as error:
        deltas.make(kind, model.config, **sizes)
    assert "\n" not in str(error.value)


# ---- the oracle


@pytest.fixture(scope="module")
def oracle(shared, tmp_path_factory):
    tensors = load_file(shared / "oracle" / "released_t5.safetensors")
    shape = json.loads((shared / "oracle" / "released_t5.json").read_text())
    sizes = {
        "adapter": {"bottleneck": shape.pop("adapter_size")},
        "lora": {"rank": shape.pop("lora_r"), "scale": shape.pop("lora_s")},
        "prefix": {"length": shape.pop("prefix_num"), "hidden": shape.pop("prefix_r")},
    }
    folder = tmp_path_factory.mktemp("oracle")
    T5Config(**shape, decoder_start_token_id=0).save_pretrained(folder)
    weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return T5ForConditionalGeneration.from_pretrained(folder).eval(), tensors, sizes


@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_loss_are_the_released_codes(oracle, kind):
    model, tensors, sizes = oracle
    delta, theta = deltas.make(kind, model.config, **sizes[kind]), tensors[f"{kind}.theta"]
    assert delta.numel == theta.numel()
    with torch.no_grad(), deltas.applied(model, [(delta, theta)]):
        output = model(**{name: tensors[name] for name in ("input_ids", "attention_mask", "labels")})
    torch.testing.assert_close(output.logits, tensors[f"{kind}.logits"], atol=1e-5, rtol=0)
    torch.testing.assert_close(output.loss, tensors[f"{kind}.loss"][0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_prefix_keys_and_values_are_the_released_codes(oracle, stack):
    model, tensors, sizes = oracle
    delta = deltas.make("prefix", model.config, reading="released", **sizes["prefix"])
    built = delta.keys_values(delta.views(tensors["prefix.theta"][None]), stack)
    torch.testing.assert_close(built[0], tensors[f"prefix.{stack}_kv"], atol=1e-6, rtol=0)


# ---- what each delta computes


def test_adapter_by_hand_at_one_site(model):
    delta, theta = solutions(model, "adapter", 1)
    layer, seen = model.encoder.block[0].layer[0], {}
    handles = [
        layer.register_forward_hook(lambda module, args, output: seen.update(before=args[0], after=output[0])),
        layer.SelfAttention.register_forward_hook(lambda module, args, output: seen.update(plain=output[0])),
    ]
    logits(model, [(delta, theta)], batch_of(4))
    for handle in handles:
        handle.remove()
    views = delta.views(theta)
    x = seen["plain"]
    x = x + silu(x @ views["encoder.0.self.down"][0]) @ views["encoder.0.self.up"][0]
    torch.testing.assert_close(seen["after"], seen["before"] + x, atol=1e-6, rtol=1e-6)


def lora_modules(model):
    for stack in ("encoder", "decoder"):
        for i, block in enumerate(getattr(model, stack).block):
            named = [("self", block.layer[0].SelfAttention)]
            named += [("cross", block.layer[1].EncDecAttention)] if stack == "decoder" else []
            for sublayer, attention in named:
                for matrix in "qv":
                    yield f"{stack}.{i}.{sublayer}.{matrix}", getattr(attention, matrix)


def test_lora_equals_merged_weights(model):
    delta, theta = solutions(model, "lora", 1)
    views, merged = delta.views(theta), tiny_t5()
    for site, linear in lora_modules(merged):
        linear.weight += delta.scale * (views[f"{site}.A"][0] @ views[f"{site}.B"][0]).T
    batch = batch_of(4)
    torch.testing.assert_close(logits(model, [(delta, theta)], batch), merged(**batch).logits, atol=1e-5, rtol=1e-5)


def test_lora_equals_peft(model):
    from peft import LoraConfig, get_peft_model

    delta, theta = solutions(model, "lora", 1)
    views = delta.views(theta)
    adaptation = LoraConfig(r=2, lora_alpha=delta.scale * 2, target_modules=["q", "v"], lora_dropout=0.0)
    wrapped = get_peft_model(tiny_t5(), adaptation).eval()
    with torch.no_grad():
        for site, linear in lora_modules(wrapped.get_base_model()):
            linear.lora_A["default"].weight.copy_(views[f"{site}.A"][0].T)
            linear.lora_B["default"].weight.copy_(views[f"{site}.B"][0].T)
        batch = batch_of(4)
        theirs = wrapped(**batch).logits
    torch.testing.assert_close(logits(model, [(delta, theta)], batch), theirs, atol=1e-5, rtol=1e-5)


def test_prefix_readings_differ_but_share_the_budget(model):
    released, theta = solutions(model, "prefix", 1)
    natural, _ = solutions(model, "prefix", 1, reading="natural")
    assert released.numel == natural.numel
    views = natural.views(theta)
    rows = torch.tanh(views["decoder.embedding"][0] @ views["decoder.linear1"][0].T) @ views["decoder.linear2"][0].T
    built = natural.keys_values(views, "decoder")[0]
    for j in range(natural.length):  # row j is prefix token j: layer by layer, keys then values, head by head
        torch.testing.assert_close(built[:, :, :, j].flatten(), rows[j])
    assert not torch.allclose(built, released.keys_values(views, "decoder")[0])
    batch = batch_of(4)
    one, other = (logits(model, [(delta, theta)], batch) for delta in (released, natural))
    assert not torch.allclose(one, other, atol=1e-3)


def test_prefix_stands_at_the_positions_before_the_sequence():
    # With the prefix made of the keys and values of real tokens, one layer of attention over the text after those
    # tokens is attention over the whole text: the bias must place the prefix exactly there.
    model = tiny_t5(num_layers=1)
    delta = deltas.make("prefix", model.config, **SIZES["prefix"])
    ids = batch_of(2, length=12)["input_ids"].clamp(min=1)
    attention = model.encoder.block[0].layer[0].SelfAttention
    with torch.no_grad():
        hidden = model.encoder.block[0].layer[0].layer_norm(model.encoder.embed_tokens(ids[:1, : delta.length]))
        keys_values = torch.stack([attention.k(hidden), attention.v(hidden)])  # (2, 1, m, inner)
    keys_values = keys_values.unflatten(3, (3, 8)).permute(1, 0, 3, 2, 4)[:, None]  # (1, L = 1, 2, heads, m, d_kv)

    class FromText(deltas.Prefix):
        def keys_values(self, weights, stack):
            return keys_values if stack == "encoder" else super().keys_values(weights, stack)

    for bias, same in (("relative", True), ("zero", False)):
        given = FromText(delta.geometry, delta.shapes, delta.length, delta.hidden, "released", bias, 1.0)
        with torch.no_grad(), deltas.applied(model, [(given, given.init(0))]):
            short = model.encoder(ids[:1, delta.length :]).last_hidden_state
        with torch.no_grad():
            whole = model.encoder(ids[:1]).last_hidden_state[:, delta.length :]
        assert torch.allclose(short, whole, atol=1e-5) == same


# ---- stacks


def mixed(model):
    adapter, lora, prefix = (solutions(model, kind, k) for kind, k in zip(KINDS, (2, 3, 2), strict=True))
    longer = solutions(model, "prefix", 1, length=7, reading="natural", bias="zero")
    return [adapter, lora, prefix, longer, (adapter[0], adapter[1][0] * 0.5)]


def each_solution(entries):
    return [(delta, one) for delta, theta in entries for one in (theta if theta.ndim == 2 else theta[None])]


@pytest.mark.parametrize("kind", ["adapter", "lora"])
def test_a_delta_acts_where_its_layout_has_parameters_and_nowhere_else(model, kind):
    """What is left out is left alone, in a stack, too; what has no hook is refused."""
    whole, theta = solutions(model, kind, 2)
    kept = tuple(shape for shape in whole.shapes if shape[0].startswith("decoder"))
    part = replace(whole, shapes=kept)
    views = whole.views(theta)
    less = torch.cat([views[name].flatten(1) for name, _ in kept], dim=1)
    quiet = theta.clone()
    for name, view in whole.views(quiet).items():
        if name.startswith("encoder"):
            view.zero_()
    batch = batch_of(8)
    both = logits(model, [(part, less), (whole, theta)], batch)
    torch.testing.assert_close(both[:4], logits(model, [(whole, quiet)], rows_of(batch, 0, 4)), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both[4:], logits(model, [(whole, theta)], rows_of(batch, 4, 8)), atol=1e-5, rtol=1e-5)
    more = replace(whole, shapes=(*whole.shapes, ("encoder.0.self.k.A", (32, 2))))
    with pytest.raises(ValueError, match="without a hook, such as 'encoder.0.self.k.A'; allowed: down and up"), \
            deltas.applied(model, [(more, torch.zeros(more.numel))]):
        pass
    assert hooks(model) == 0


def test_one_mixed_forward_equals_the_separate_ones(model):
    entries, rows = mixed(model), 3
    single = each_solution(entries)
    batch = batch_of(rows * len(single))
    together = logits(model, entries, batch)
    alone = [logits(model, [one], rows_of(batch, i * rows, (i + 1) * rows)) for i, one in enumerate(single)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)
    untuned = model(**batch).logits
    changes = (together - untuned).abs().flatten(1).amax(1)
    assert (changes > 1e-2).all()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_a_stack_equal_the_separate_ones(model, kind):
    delta, theta = solutions(model, kind, 3)
    batch, grads = batch_of(6), []
    stacked = theta.clone().requires_grad_()
    with deltas.applied(model, [(delta, stacked)]):
        model(**batch).loss.backward()
    for i in range(3):
        one = theta[i].clone().requires_grad_()
        with deltas.applied(model, [(delta, one)]):
            (model(**rows_of(batch, 2 * i, 2 * i + 2)).loss / 3).backward()
        grads.append(one.grad)
    torch.testing.assert_close(stacked.grad, torch.stack(grads), atol=1e-6, rtol=1e-4)
    assert stacked.grad.abs().sum() > 0


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_stacked_generation_equals_separate_generation(model, mode):
    entries, rows = mixed(model), 2
    single = each_solution(entries)
    batch = batch_of(rows * len(single))
    del batch["labels"]
    options = {"do_sample": False, "num_beams": 1, "min_new_tokens": 8, "max_new_tokens": 8}
    with mode(), deltas.applied(model, entries):
        together = model.generate(**batch, **options)
    alone = []
    for i, one in enumerate(single):
        with mode(), deltas.applied(model, [one]):
            alone.append(model.generate(**rows_of(batch, i * rows, (i + 1) * rows), **options))
    assert torch.equal(together, torch.cat(alone))
    assert len({tuple(row) for row in together[::rows].tolist()}) > 3  # solutions do write different things


@pytest.mark.parametrize("bias", ["relative", "zero"])
def test_cached_decoding_equals_uncached_decoding_with_a_prefix(model, bias):
    delta, theta = solutions(model, "prefix", 2, bias=bias)
    batch = batch_of(4)
    ids = batch.pop("labels")
    with torch.no_grad(), deltas.applied(model, [(delta, theta)]):
        whole = model(**batch, decoder_input_ids=ids).logits
        encoded, cache, steps = model.encoder(**batch), None, []
        for chunk in ids.split([2, 1, 1, 1, 1], dim=1):
            output = model(
                encoder_outputs=encoded,
                attention_mask=batch["attention_mask"],
                decoder_input_ids=chunk,
                past_key_values=cache,
                use_cache=True,
            )
            cache = output.past_key_values
            steps.append(output.logits)
        greedy = {"do_sample": False, "min_new_tokens": 6, "max_new_tokens": 6}
        cached, uncached = (model.generate(**batch, use_cache=use, **greedy) for use in (True, False))
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, atol=1e-5, rtol=1e-5)
    assert torch.equal(cached, uncached)


def test_gradients_are_right_in_double_precision():
    model = tiny_t5(d_model=8, d_kv=2, num_layers=1, num_decoder_layers=1, d_ff=8).double()
    for name, module in list(model.named_modules()):
        if type(module).__name__ == "T5LayerNorm":  # T5's own norm computes in single precision
            norm = torch.nn.RMSNorm(8, eps=1e-6, dtype=torch.float64).requires_grad_(False)
            model.set_submodule(name, norm)
    sizes = {"adapter": {"bottleneck": 2}, "lora": {"rank": 2}, "prefix": {"length": 3, "hidden": 2}}
    made = [deltas.make(kind, model.config, **sizes[kind]) for kind in KINDS]
    thetas = [(delta.init(0) + torch.randn(2, delta.numel) * 0.3).double().requires_grad_() for delta in made]
    batch = batch_of(6, length=4)

    def loss(*thetas):
        with deltas.applied(model, list(zip(made, thetas, strict=True))):
            return model(**batch).loss

    torch.manual_seed(0)
    assert torch.autograd.gradcheck(loss, thetas, fast_mode=True, atol=1e-7, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_backbone_keeps_single_precision_solutions(kind):
    half = tiny_t5().to(torch.bfloat16).train()
    delta, theta = solutions(half, kind, 2)
    theta.requires_grad_()
    with deltas.applied(half, [(delta, theta)]):
        output = half(**batch_of(4))
        output.loss.backward()
    assert output.logits.dtype == torch.bfloat16
    assert theta.grad.dtype == torch.float32
    assert theta.grad.isfinite().all()
    assert theta.grad.abs().sum() > 0
    exact = logits(tiny_t5(), [(delta, theta.detach())], batch_of(4))
    rough = logits(half.eval(), [(delta, theta.detach())], batch_of(4)).float()
    assert (rough - exact).abs().mean() < 0.05 * exact.std()


# ---- coming and going


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_untouched_after_the_block_and_after_an_exception(kind, attention):
    model = tiny_t5()
    model.set_attn_implementation(attention)
    batch = batch_of(4)
    before, count = model(**batch).logits, hooks(model)
    entry = solutions(model, kind, 2)
    changed = logits(model, [entry], batch)
    with pytest.raises(RuntimeError, match="stop"), deltas.applied(model, [entry]):
        assert hooks(model) > count
        model(**batch)
        raise RuntimeError("stop")
    with pytest.raises(ValueError, match="5 rows"), deltas.applied(model, [entry]):
        model(**batch_of(5))
    assert not torch.allclose(changed, before, atol=1e-3)
    assert hooks(model) == count
    configs = (model.config, model.encoder.config, model.decoder.config)
    assert [config._attn_implementation for config in configs] == [attention] * 3
    assert torch.equal(model(**batch).logits, before)


def test_blocks_in_succession_and_nested(model):
    adapter, lora, prefix = (solutions(model, kind, 2) for kind in KINDS)
    batch = batch_of(4)
    before = model(**batch).logits
    first = logits(model, [adapter], batch)
    with torch.no_grad(), deltas.applied(model, [adapter]):
        with deltas.applied(model, [prefix]):
            both = model(**batch).logits
        assert torch.equal(model(**batch).logits, first)
    with torch.no_grad(), deltas.applied(model, [prefix]), deltas.applied(model, [adapter]):
        torch.testing.assert_close(model(**batch).logits, both, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(both, first, atol=1e-3)
    with torch.no_grad(), deltas.applied(model, [prefix]):
        outer = model(**batch).logits
        with pytest.raises(ValueError, match="cannot be nested"), deltas.applied(model, [prefix, lora]):
            pass
        assert torch.equal(model(**batch).logits, outer)
    assert torch.equal(model(**batch).logits, before)


@pytest.mark.parametrize("kind", KINDS)
def test_an_open_block_follows_updates_and_allows_many_backward_passes(model, kind):
    delta, theta = solutions(model, kind, 2)
    batch = batch_of(4)
    theta.requires_grad_()
    with deltas.applied(model, [(delta, theta)]):
        model(**batch).loss.backward()
        first = theta.grad.clone()
        model(**batch).loss.backward()
        torch.testing.assert_close(theta.grad, 2 * first)
        with torch.no_grad():
            theta.add_(0.1)
            inside = model(**batch).logits
        theta.grad = None
        model(**batch).loss.backward()
    assert theta.grad.any(), "also after a pass without gradients"
    assert torch.equal(inside, logits(model, [(delta, theta)], batch))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("entries", [1, 2])
def test_an_open_block_follows_updates_in_inference_mode_too(model, kind, entries):
    batch = batch_of(4)
    with torch.inference_mode():
        stacks = [(delta, theta.clone()) for delta, theta in (solutions(model, kind, 2 // entries),) * entries]
        with deltas.applied(model, stacks):
            before = model(**batch).logits
            for _, theta in stacks:
                theta.add_(0.1)
            after = model(**batch).logits
        assert not torch.equal(before, after)
        assert torch.equal(after, logits(model, stacks, batch))


def test_views_are_of_one_solution_or_of_a_stack(model):
    delta, theta = solutions(model, "lora", 2)
    one, both = delta.views(theta[1]), delta.views(theta)
    assert list(one) == list(both)
    assert all(torch.equal(one[name], both[name][1]) for name in one)
    assert one["encoder.0.self.q.A"].data_ptr() == theta[1].data_ptr(), "not a copy"


def test_a_delta_that_nothing_applies_is_refused(model):
    """A new kind without a hook would leave the network as it is."""
    class Bias(deltas.Adapter):
        kind = "nothing"

    new = Bias.build(deltas.Geometry.of(model.config), 2)
    told = "no hook for a delta of kind 'nothing'; allowed: adapter, lora, prefix"
    with pytest.raises(ValueError, match=told), deltas.applied(model, [(new, new.init(0))]):
        pass
    with pytest.raises(ValueError, match="config is a T5ForConditionalGeneration: "
                                         "it must be the configuration of a T5"):
        deltas.make("lora", model)


def test_what_is_no_delta_is_refused(model):
    delta, theta = solutions(model, "adapter", 2)
    for wrong, told in (("adapter", "str"), (theta, "Tensor")):
        with (pytest.raises(ValueError, match=f"deltas as `deltas.make` makes them, got {told}"),
              deltas.applied(model, [(delta, theta), (wrong, theta)])):
            pass


def test_a_theta_of_other_than_real_numbers_is_refused(model):
    delta, theta = solutions(model, "lora", 2)
    for wrong, told in ((theta.long(), "torch.int64"), (theta > 0, "torch.bool"),
                        (theta.numpy(), "ndarray"), (theta.tolist(), "list")):
        with (pytest.raises(ValueError, match=f"lora takes theta as a tensor of floating-point numbers, got {told}"),
              deltas.applied(model, [(delta, wrong)])):
            pass


def test_what_is_no_t5_and_no_pair_is_told_at_once(model):
    delta, theta = solutions(model, "lora", 2)
    for wrong, told in ((SimpleNamespace(model=model), "for a Backbone: its `.model`.*SimpleNamespace"),
                        (torch.nn.Linear(2, 2), "got Linear")):
        with pytest.raises(ValueError, match=told), deltas.applied(wrong, [(delta, theta)]):
            pass
    for entries in ([delta], [(delta,)], [(delta, theta, 1)]):
        with pytest.raises(ValueError, match=r"pairs: \[\(delta, theta\), ...\]"), deltas.applied(model, entries):
            pass


def test_rows_and_solutions_must_fit(model):
    delta, theta = solutions(model, "adapter", 3)
    for rows in (4, 2):
        with pytest.raises(ValueError, match=f"{rows} rows .* 3 solutions"):
            logits(model, [(delta, theta)], batch_of(rows))
    for wrong in (theta[:, 1:], theta[:0]):
        with pytest.raises(ValueError, match=rf"\(K, {delta.numel}\)"), deltas.applied(model, [(delta, wrong)]):
            pass
    other = deltas.make("adapter", tiny_config(num_layers=4), **SIZES["adapter"])
    with pytest.raises(ValueError, match="was made for"), deltas.applied(model, [(other, other.init(0))]):
        pass
    with deltas.applied(model, []):
        assert math.isfinite(model(**batch_of(3)).loss)


@pytest.mark.parametrize("kind", ["adapter", "lora", "prefix"])
def test_every_delta_is_drawn_by_its_seed(model, kind):
    delta = deltas.make(kind, model.config, **SIZES[kind])
    assert torch.equal(delta.init(5), delta.init(5))
    assert not torch.equal(delta.init(5), delta.init(6))


def test_a_prefix_is_computed_in_its_own_precision():
    half, seen = tiny_t5().to(torch.bfloat16), []

    class Seen(deltas.Prefix):
        def keys_values(self, weights, stack):
            seen.append(weights[f"{stack}.embedding"].dtype)
            return super().keys_values(weights, stack)

    made = deltas.make("prefix", half.config, **SIZES["prefix"])
    delta = Seen(made.geometry, made.shapes, made.length, made.hidden, made.reading, made.bias, made.init_std)
    assert logits(half, [(delta, delta.init(0))], batch_of(2)).dtype == torch.bfloat16
    assert set(seen) == {torch.float32}


def test_attention_drops_out_with_a_prefix_as_without():
    trained = tiny_t5().train()
    for module in trained.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif hasattr(module, "relative_attention_bias") or type(module).__name__ == "T5Attention":
            module.dropout = 0.5
    entry = solutions(trained, "prefix", 1)
    one, other = (logits(trained, [entry], batch_of(2)) for _ in range(2))
    assert not torch.equal(one, other)
