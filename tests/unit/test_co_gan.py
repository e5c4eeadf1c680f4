"""The adversarial CO networks: layouts beside the published ones, losses, gradient penalty, replay
buffer, resuming.
"""

import itertools
import math
import os
import signal

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from skyloom.cli import BadInput
from skyloom.co.models import cyclegan, gan, pix2pix
from skyloom.training import UNFINISHED, Plan, fit

SIDE = 16
SMALL = {
    "generator": "unet",
    "generator_width": 4,
    "generator_depth": 2,
    "discriminator_width": 4,
    "discriminator_depth": 2,
    "upsample": "nearest",
    "norm": "group",
    "r1": 0.0,
    "r1_every": 16,
    "decay": True,
    "steps": 60,
    "batch": 4,
    "learning_rate": 2e-3,
    "ema": 0.9,
    "valid_every": 3,
}
CYCLE = {
    "gan_loss": "bce",
    "lambda_cycle": 10,
    "lambda_identity": 5,
    "identity": "paired_l1",
    "paired": True,
    "cycle_noise": 0.0,
    "buffer": 0,
}
MODELS = {
    "cyclegan": (cyclegan, SMALL | CYCLE),
    "pix2pix": (pix2pix, SMALL | {"gan_loss": "lsgan", "lambda_l1": 100}),
}
PUBLISHED = {
    "generator": "resnet",
    "gan_loss": "lsgan",
    "identity": "zhu",
    "paired": False,
    "buffer": 6,
    "upsample": "transpose",
    "norm": "instance",
    "decay": False,
    "ema": 0.0,
}
STABILISED = {"r1": 5.0, "r1_every": 2, "cycle_noise": 0.1, "buffer": 6}
CONSTANTS = {"asinh_scale": 1.0, "asinh_mean": 1.0, "asinh_std": 1.0}
META = {"normalisation": {"target": CONSTANTS}, "pixels": SIDE, "pixel_arcmin": 5.0}


class Tiles:
    """`n` tiles of correlated dust and HI, and CO that is a half of the one less a half of the
    other; a fixed draw.
    """

    def __init__(self, n):
        maps = gaussian_filter(
            np.random.default_rng(0).standard_normal((n, 2, SIDE, SIDE)), (0, 0, 2, 2), mode="wrap"
        )
        self.input = torch.tensor(maps / maps.std(), dtype=torch.float32)

    def __len__(self):
        return len(self.input)

    def __getitem__(self, index):
        x = self.input[index]
        target = (x[:, :1] - x[:, 1:]) / 2
        return {"input": x, "target": target, "valid": torch.ones_like(target)}


def make(name, seed=0, **changes):
    module, entry = MODELS[name]
    torch.manual_seed(seed)
    task = module.make_task(entry | changes, META)
    task.plan = Plan.from_entry(entry | changes, seed).resolved(8, 1)
    return task


def weights_of_convolutions(network):
    """In millions; the published norms have no weights of their own, ours some 0.5 % of all."""
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    return sum(p.numel() for layer in layers for p in layer.parameters()) / 1e6


# --- networks
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upsample", gan.UPSAMPLINGS)
@pytest.mark.parametrize(
    "width, depth, millions", [(64, 6, 7.83), (32, 6, 1.96), (16, 6, 0.49), (64, 9, 11.4)]
)
def test_resnet_has_the_published_number_of_weights(width, depth, millions, upsample):
    entry = MODELS["cyclegan"][1] | {"generator": "resnet", "upsample": upsample}
    entry |= {"generator_width": width, "generator_depth": depth}
    half_a_digit = 0.05 if millions > 10 else 0.005
    assert weights_of_convolutions(gan.make_generator(entry, 2, 2)) == pytest.approx(
        millions, abs=half_a_digit
    )


@pytest.mark.parametrize("width, millions", [(64, 2.76), (32, 0.69), (16, 0.17)])
def test_discriminator_of_four_halvings_has_the_published_number_of_weights(width, millions):
    assert weights_of_convolutions(gan.PatchGAN(1, width, 4)) == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize("depth, pixels", [(2, 22), (3, 46), (4, 94)])
def test_each_logit_sees_the_published_part_of_the_tile(depth, pixels):
    """From the gradient. Four halvings see 94 pixels, as published: 2.2 degrees of a tile of 3 in
    128 pixels.
    """
    judge = gan.PatchGAN(1, 4, depth)
    for layer in judge:  # group norm sees the whole tile; without it the field is the convolutions'
        if isinstance(layer, nn.Sequential) and isinstance(layer[1], nn.GroupNorm):
            layer[1] = nn.Identity()
    x = torch.randn(1, 1, 128, 128, requires_grad=True)
    logits = judge(x)
    assert logits.shape == (1, 1, 128 >> depth, 128 >> depth)
    logits[0, 0, (64 >> depth), (64 >> depth)].backward()
    seen = x.grad[0, 0].abs().amax(0) > 0
    assert seen.sum() == pixels and 6 * 2**depth - 2 == pixels


@pytest.mark.parametrize("upsample, uneven", [("nearest", False), ("transpose", True)])
def test_transposed_convolution_leaves_a_checkerboard_on_a_constant(upsample, uneven):
    """Equal weights on a constant: a kernel of three at a stride of two covers pixels by one or two
    taps an axis.
    """
    grow = gan.double(1, 1, upsample)[:-2]  # without norm and activation
    for module in grow:
        if hasattr(module, "weight"):
            nn.init.ones_(module.weight), nn.init.zeros_(module.bias)
    inner = grow(torch.ones(1, 1, 8, 8))[0, 0, 2:-2, 2:-2]
    assert (inner.std() > 0) == uneven
    if uneven:
        assert sorted(set(inner.flatten().tolist())) == [1, 2, 4]


def test_instance_norm_is_that_of_torch_and_group_norm_is_not():
    entry, x = MODELS["cyclegan"][1] | {"generator": "resnet"}, torch.randn(2, 2, SIDE, SIDE)
    for kind in gan.NORMS:
        first, norm = gan.make_generator(entry | {"norm": kind}, 2, 1).body[:2]
        expected = nn.functional.instance_norm(first(x))
        assert torch.allclose(norm(first(x)), expected, atol=1e-5) == (kind == "instance")


# --- losses
# --------------------------------------------------------------------------------------------------


def test_adversarial_losses_have_their_textbook_values():
    zero, two = torch.zeros(5), torch.full((5,), 2.0)
    for real, judge in itertools.product((True, False), repeat=2):
        assert gan.bce(zero, real, judge).item() == pytest.approx(math.log(2))
    torch.testing.assert_close(
        gan.bce(two, True, True), binary_cross_entropy_with_logits(two, torch.ones(5))
    )
    assert gan.lsgan(two, True, True) == 1 and gan.lsgan(two, False, True) == 4
    # hinge (Lim & Ye 2017): max(0, 1 - D) for real, max(0, 1 + D) for generated, -D for the
    # generator
    assert gan.hinge(two, True, True) == 0 and gan.hinge(two, False, True) == 3
    assert gan.hinge(two, True, False) == -2


def test_penalty_of_a_linear_discriminator_is_the_square_of_its_weights_at_any_image():
    judge = nn.Conv2d(2, 1, SIDE)  # one logit: w x + b
    for image in (torch.randn(3, 2, SIDE, SIDE), torch.zeros(5, 2, SIDE, SIDE)):
        torch.testing.assert_close(gan.slope_at(judge, image), judge.weight.square().sum())


def test_penalty_of_patches_side_by_side_is_that_of_one_patch():
    judge = nn.Conv2d(1, 1, 4, 4)
    expected = judge.weight.square().sum()
    torch.testing.assert_close(gan.slope_at(judge, torch.randn(2, 1, SIDE, SIDE)), expected)


def test_penalty_acts_at_its_steps_only_and_its_gradient_is_the_analytic_one():
    entry = SMALL | {"gan_loss": "lsgan", "r1": 3.0, "r1_every": 4}
    judge, real = nn.Conv2d(1, 1, SIDE), torch.randn(4, 1, SIDE, SIDE)
    fake = torch.randn_like(real)
    bare = gan.discriminator_loss(judge, real, fake, entry | {"r1": 0.0}, 0)
    (slope,) = torch.autograd.grad(bare, judge.weight)
    for step, strength in ((0, 4), (1, 0), (3, 0), (8, 4)):
        loss = gan.discriminator_loss(judge, real, fake, entry, step)
        (found,) = torch.autograd.grad(loss, judge.weight)
        torch.testing.assert_close(loss, bare + strength * 3.0 / 2 * judge.weight.square().sum())
        torch.testing.assert_close(found, slope + strength * 3.0 * judge.weight)


@pytest.mark.parametrize(
    "gan_loss, identity", list(itertools.product(gan.GAN_LOSSES, cyclegan.IDENTITIES))
)
def test_every_loss_and_identity_yields_generators_then_discriminators(gan_loss, identity):
    task = make("cyclegan", gan_loss=gan_loss, identity=identity)
    steps = list(task.losses(Tiles(4)[:], 0))
    assert [name for name, _ in steps] == ["generators", "discriminators"]
    assert all(torch.isfinite(loss) for _, loss in steps)


@pytest.mark.parametrize(
    "name, changes", [("cyclegan", PUBLISHED), ("cyclegan", STABILISED), ("pix2pix", {"r1": 5.0})]
)
def test_every_weight_moves_and_stays_finite(name, changes):
    task = make(name, **changes)
    before = {key: value.clone() for key, value in task.named_parameters()}
    optimisers = task.optimisers()
    for step in range(2):
        for key, loss in task.losses(Tiles(4)[:], step):
            optimisers[key].zero_grad()
            loss.backward(
                inputs=[p for group in optimisers[key].param_groups for p in group["params"]]
            )
            optimisers[key].step()
    assert all(
        value.isfinite().all() and not torch.equal(value, before[key])
        for key, value in task.named_parameters()
    )


def test_unpaired_training_never_sees_which_target_belongs_to_which_input():
    task, batch = make("cyclegan", paired=False, identity="zhu"), Tiles(4)[:]
    losses = []
    for version in (batch, batch | {"target": batch["target"].flip(0)}):
        draws = []
        for seed in range(30):
            torch.manual_seed(seed)
            draws.append(next(task.losses(version, 0))[1].item())
        losses.append(np.mean(draws))
    # only symmetries differ from draw to draw: the means agree to their scatter
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_discriminator_of_pix2pix_sees_which_input_belongs_to_which_output():
    task, batch = make("pix2pix", decay=False), Tiles(16)[:]
    optimiser = task.optimisers()["discriminator"]
    # true pairs against true targets of other tiles: only a conditional judge can tell
    for _ in range(150):
        pairs = [
            torch.cat([batch["input"], target], 1)
            for target in (batch["target"], batch["target"].roll(1, 0))
        ]
        loss = gan.discriminator_loss(task.discriminator, *pairs, task.entry, 1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    right, wrong = (task.discriminator(pair).mean() for pair in pairs)
    assert right - wrong > 0.3  # of 1 between the two answers; a blind judge gives 0


def test_cycle_noise_lies_between_the_two_generators_and_nowhere_else():
    task, batch = make("cyclegan", cycle_noise=0.3), Tiles(4)[:]
    fake, mask = torch.zeros(200, 1, SIDE, SIDE), torch.ones(200, 1, SIDE, SIDE)
    mask[:, :, :4] = 0
    noisy = task.noisy(fake, mask)
    assert noisy[:, :, 4:].std().item() == pytest.approx(0.3, rel=0.02)  # 38,000 draws give 0.4 %
    assert (noisy[:, :, :4] == 0).all()
    same = [
        cyclegan.predict(make("cyclegan", cycle_noise=noise), batch)["prediction"]
        for noise in (0.0, 0.3)
    ]
    assert torch.equal(*same)


def test_identity_that_the_domains_do_not_define_is_refused():
    with pytest.raises(BadInput, match="a paired loss needs pairs"):
        make("cyclegan", identity="paired_l1", paired=False)
    with pytest.raises(BadInput, match="identity is 'l2'; expected one of zhu, paired_l1, none"):
        make("cyclegan", identity="l2")
    with pytest.raises(BadInput, match="undefined between images of 3 and 2 channels"):
        cyclegan.copy_error(
            nn.Identity(), torch.zeros(1, 3, 4, 4), torch.zeros(1, 2, 4, 4), torch.ones(1, 1, 4, 4)
        )


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "key, value, known",
    [
        ("upsample", "cubic", "nearest, transpose"),
        ("norm", "batch", "group, instance"),
        ("generator", "vit", "unet, resnet"),
    ],
)
def test_unknown_choice_is_refused_by_its_key(name, key, value, known):
    with pytest.raises(BadInput, match=f"{name}: {key} is '{value}'; expected one of {known}"):
        make(name, **{key: value})


@pytest.mark.parametrize("name", MODELS)
def test_tiles_that_the_unet_cannot_halve_so_often_are_refused(name):
    with pytest.raises(
        BadInput, match=f"{name}: generator_depth ask for tiles of a multiple of 512 pixels"
    ):
        make(name, generator_depth=9)


def test_compiled_penalty_is_refused():
    """torch has no compiled gradient of a gradient."""
    with pytest.raises(BadInput, match="cyclegan: compile is 'default' and r1 is 3"):
        make("cyclegan", r1=3.0, compile="default")
    make("cyclegan", compile="default")


def test_copied_identity_vanishes_for_generators_that_copy():
    dust_hi, co, mask = torch.randn(2, 2, 8, 8), torch.randn(2, 1, 8, 8), torch.ones(2, 1, 8, 8)
    assert cyclegan.copy_error(lambda x: x[:, :1], dust_hi, co, mask) == 0
    assert cyclegan.copy_error(lambda x: x.expand(-1, 2, -1, -1), co, dust_hi, mask) == 0


# --- replay buffer
# --------------------------------------------------------------------------------------------------


def numbered(numbers):
    """Images that are told apart by their value."""
    return (
        torch.as_tensor(numbers, dtype=torch.float32)[:, None, None, None]
        .expand(-1, 1, 2, 2)
        .contiguous()
    )


def test_buffer_passes_what_fills_it_and_then_every_second_image_is_an_old_one():
    replay, generator, n = gan.Replay(50), torch.Generator().manual_seed(0), 16
    old, ages = 0, []
    for turn in range(400):
        images = numbered(range(n * turn, n * (turn + 1)))
        out = replay.exchange(images, generator)[:, 0, 0, 0]
        if turn < 3:  # 48 images
            assert torch.equal(out, images[:, 0, 0, 0])
            continue
        replaced = out != images[:, 0, 0, 0]
        assert (out[replaced] < n * turn).all() and len(out.unique()) == n
        old += replaced.sum().item()
        ages += (turn - out[replaced] // n).tolist()
    drawn = 396 * n + n - 2  # the first two of turn 3 still fill
    assert old / drawn == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(drawn))  # binomial, four sigma
    # an image stays until one of 8 swaps a turn takes its place among 50: geometric, 50 / 8 turns
    # in the mean
    assert np.mean(ages) == pytest.approx(50 / 8, rel=0.1)
    assert len(replay.images) == 50 and len(replay.images.flatten(1).unique(dim=0)) == 50


def test_buffer_neither_loses_nor_doubles_an_image():
    replay, generator = gan.Replay(5), torch.Generator().manual_seed(1)
    seen = []
    for turn in range(30):  # batches larger than the buffer too
        seen += replay.exchange(numbered(range(8 * turn, 8 * (turn + 1))), generator)[
            :, 0, 0, 0
        ].tolist()
    kept = replay.images[:, 0, 0, 0].tolist()
    # the first five pass and are stored as well: they may come out twice, every other image is
    # either out or kept
    assert sorted(v for v in seen + kept if v >= 5) == [float(v) for v in range(5, 240)]


def test_processes_share_one_buffer_and_take_their_images_out_of_it(monkeypatch):
    """Two processes with half of each batch are one with all of it; what they gather is put
    together by hand here.
    """
    alone, pair = gan.Replay(6), [gan.Replay(6), gan.Replay(6)]
    monkeypatch.setattr(gan.dist, "is_initialized", lambda: True)
    for turn in range(8):
        images = numbered(range(4 * turn, 4 * turn + 4))
        monkeypatch.setattr(gan, "of_all_processes", lambda _, images=images: images)
        monkeypatch.setattr(gan.dist, "get_rank", lambda: 0)
        whole = alone.exchange(images, torch.Generator().manual_seed(turn))
        parts = []
        for rank, replay in enumerate(pair):
            monkeypatch.setattr(gan.dist, "get_rank", lambda rank=rank: rank)
            parts.append(
                replay.exchange(images[2 * rank :][:2], torch.Generator().manual_seed(turn))
            )
        assert torch.equal(pair[0].images, pair[1].images) and torch.equal(
            pair[0].images, alone.images
        )
        assert torch.equal(torch.cat(parts), whole)


def test_published_weights_hold_no_buffer_and_the_saved_state_does(tmp_path):
    with pytest.raises(SystemExit):
        train(tmp_path, stop_at=7)
    (path,) = (tmp_path / "state").glob("state-*.pt")
    parts = torch.load(path, weights_only=True)["parts"]
    assert parts["replay_a"]["images"].shape == (6, 2, SIDE, SIDE)
    assert parts["replay_b"]["images"].shape == (6, 1, SIDE, SIDE)
    train(tmp_path)
    weights = torch.load(tmp_path / "best.ckpt", weights_only=True)
    assert weights.keys() == dict(make("cyclegan").named_parameters()).keys()


class Killed(Exception):
    """Ends a run in mid-step, with no chance to save."""


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)  # the engine saves after the step and leaves


def kill():
    raise Killed


class Interrupted(cyclegan.CycleGANTask):
    """Does something at the step `stop_at`, between its two losses."""

    def losses(self, batch, step):
        for name, loss in super().losses(batch, step):
            if step == self.stop_at and name == "discriminators":
                self.stop()
            yield name, loss


def train(folder, stop_at=None, stop=terminate, **changes):
    """Train CycleGAN with all its stabilisers in the engine; history.csv and best.ckpt go to
    `folder`.
    """
    entry = MODELS["cyclegan"][1] | STABILISED | {"steps": 12, "norm": "group"} | changes

    def make_task():
        task = Interrupted(entry, META)
        task.stop_at, task.stop = stop_at, stop
        return task

    def publish(result):
        (folder / "history.csv").write_text(result.history)
        torch.save(result.weights, folder / "best.ckpt")

    fit(make_task, Tiles(10), Tiles(4), Plan.from_entry(entry, 0), folder / "state", publish)


@pytest.mark.parametrize("stop, ends", [(terminate, SystemExit), (kill, Killed)])
def test_run_with_a_full_buffer_goes_on_from_a_stop_to_the_same_history_and_weights(
    stop, ends, tmp_path
):
    folders = {name: tmp_path / name for name in ("whole", "stopped", "forgetful")}
    for folder in folders.values():
        folder.mkdir()
    train(folders["whole"])
    with pytest.raises(ends) as stopped:
        train(folders["stopped"], stop_at=7, stop=stop)
    assert stop is kill or stopped.value.code == UNFINISHED
    (path,) = (folders["stopped"] / "state").glob("state-*.pt")
    saved = torch.load(path, weights_only=True)
    assert 0 < saved["step"] <= 8 and len(saved["parts"]["replay_a"]["images"]) == 6
    train(folders["stopped"])
    train(folders["forgetful"], buffer=0)
    whole, resumed, without = ((f / "history.csv").read_bytes() for f in folders.values())
    assert resumed == whole and without != whole  # the buffer matters, and is what it was
    mine, theirs = (
        torch.load(folders[name] / "best.ckpt", weights_only=True) for name in ("whole", "stopped")
    )
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
