"""A model that has not learned is told, and one that has is not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from tiktokactions.intervals import wilson_interval  # noqa: E402
from tiktokactions.model.classification import label_loss, soft_target_loss  # noqa: E402
from tiktokactions.model.finetune import loss_of_guessing  # noqa: E402
from tiktokactions.model.labels import balanced_shares, class_weights  # noqa: E402
from tiktokactions.model.learned import warning_of_test, warning_of_training  # noqa: E402
from tiktokactions.model.options import FinetuneOptions, PretrainOptions  # noqa: E402
from tiktokactions.model.run import Evaluation  # noqa: E402
from tiktokactions.options import checked_options  # noqa: E402

CHANCE = 1.0986


def info(kind="finetune", base_lr=1e-3, videos=8, init=None, recipe="paper"):
    derived = SimpleNamespace(lr=base_lr * videos / 256, videos_per_step=videos, steps=100)
    return SimpleNamespace(kind=kind, derived=derived, options={"base_lr": base_lr, "recipe": recipe}, init=init)


def lines(*losses):
    return [{"step": (i + 1) * 100 // len(losses), "loss": loss} for i, loss in enumerate(losses)] + [{"val_loss": 1.0}]


@pytest.mark.parametrize(
    ("run", "log", "guessing", "expected"),
    [
        (info(), lines(), CHANCE, None),
        (info(), lines(CHANCE), CHANCE, "loss was 1.0986 at the end, guessing has 1.0986"),
        (info(), lines(0.9), CHANCE, None),
        (info(), lines(1.2, 1.1, 1.0, 0.5, 0.6), CHANCE, None),
        (info(), lines(0.2, 0.5, 1.0, 1.1, 1.2), CHANCE, "1.1500 at the end"),
        (info(), lines(*[1.09, 1.07] * 8), CHANCE, None),
        (info(), lines(*[1.6, 0.5] * 8), CHANCE, "1.0500 at the end"),
        (info(), lines(CHANCE), None, None),
        (info("pretrain"), lines(1.0, 0.9, 0.8), None, None),
        (info("pretrain"), lines(0.98, 0.99, 0.98), None, "loss was 0.9800 at the end, at first it was 0.9800"),
        (info("pretrain"), lines(0.70, 0.95, 0.9, 0.9, 0.85, 0.8, 0.72, 0.71), None, None),
        (info("pretrain", init=SimpleNamespace()), lines(0.5, 0.5), None, None),
    ],
    ids=[
        *("no line", "one line", "one below", "fell", "rose again", "fell a little", "noise", "nothing to compare"),
        *("pre-training fell", "pre-training did not", "an easy first batch", "trained before"),
    ],
)
def test_a_training_that_taught_nothing(run, log, guessing, expected):
    told = warning_of_training(run, [line for line in log if "step" in line], guessing)
    assert (told is None) == (expected is None) and (expected or "") in (told or "")


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (
            info(),
            "was 3.1e-05 (`base_lr` 0.001 × 8 videos in a step / 256), over 100 steps. Try `base_lr` 0.032, which",
        ),
        (info(init=SimpleNamespace()), "Try `base_lr` 0.01, which makes it 0.00031, or `recipe` small"),
        (info(base_lr=1e-3, videos=256), "100 steps. Try `recipe` small, for few videos, or more `epochs`."),
        (info(base_lr=0.1, videos=64), "Try `base_lr` 0.004, which makes it 0.001"),
        (info(base_lr=0.032, recipe="small"), "100 steps. Try more `epochs`."),
    ],
    ids=["small batch", "small batch with weights", "the paper's batch", "too fast", "small"],
)
def test_the_advice_has_the_rate_and_the_batch(run, expected):
    assert expected in str(warning_of_training(run, lines(9.0), CHANCE))


@pytest.mark.parametrize("hits", [9, 10, 14, 25])
@pytest.mark.parametrize("training", [None, "the loss did not fall"])
def test_a_test_at_chance(hits, training):
    result = Evaluation(30, hits / 30, *wilson_interval(hits, 30), 1.0, 0.3, 3, 1, 1.0, "r", "d", "f", chance=1 / 3)
    told = warning_of_test(result, training, [10, 10, 10])
    assert (told is None) == (hits == 25)
    assert told is None or (training or "30 videos are too few to tell") in told


@pytest.mark.parametrize(
    ("videos_of", "hits", "chance", "expected"),
    [
        ([1, 0, 0], 0, 0.0, "1 video of 1 class cannot tell whether this model has learned"),
        ([0, 1, 0], 1, 1.0, "1 video of 1 class cannot tell"),
        ([1, 1, 0], 2, 0.5, "2 videos of 2 classes cannot tell"),
        ([0, 0, 40], 40, 1.0, "40 videos of 1 class cannot tell"),
        ([2, 2, 0], 4, 0.5, None),
        ([2, 2, 0], 0, 0.0, "top-1 0.0% (95 % interval 0.0% to 49.0%) cannot be told from guessing"),
    ],
    ids=["one wrong", "one right", "two", "one class", "enough", "all wrong"],
)
def test_a_test_too_small_to_tell_says_so(videos_of, hits, chance, expected):
    n = sum(videos_of)
    result = Evaluation(n, hits / n, *wilson_interval(hits, n), 1.0, 0.3, 3, 1, 1.0, "r", "d", "f", chance=chance)
    told = warning_of_test(result, None, videos_of)
    assert (told is None) == (expected is None) and (expected or "") in (told or "")


@pytest.mark.parametrize("several", [False, True], ids=["one label", "several"])
@pytest.mark.parametrize("given", [{}, {"smoothing": 0.0}, {"balance": 1.0}, {"class_weights": 0.5}], ids=str)
def test_no_constant_answer_has_a_lower_loss_than_guessing(several, given):
    """Also where a class is rare, weighed, drawn more often, never shown or unknown."""
    options = FinetuneOptions(multi_label=several, **given)
    targets = torch.tensor([0] * 12 + [1] * 3 + [2])
    if several:
        targets = torch.eye(4)[targets] + torch.eye(4)[torch.arange(16) % 2]
        targets = targets.clamp(max=1)
        targets[:5, 2] = torch.nan
    shares = balanced_shares(targets, 4, options.balance)
    weights = class_weights(targets, 4, options.class_weights) if options.class_weights else None
    found = loss_of_guessing(targets, 4, options, shares, weights)
    loss_of = label_loss if several else soft_target_loss
    off = options.smoothing / 4
    soft = (targets if several else torch.eye(4)[targets]) * (1 - options.smoothing) + off
    drawn = soft if shares is None else soft.repeat_interleave(torch.tensor(shares).mul(60).round().int(), 0)
    answer = torch.zeros(4, requires_grad=True)
    solver = torch.optim.LBFGS([answer], max_iter=200, line_search_fn="strong_wolfe")

    def objective():
        solver.zero_grad()
        loss = loss_of(answer.expand_as(drawn), drawn, weights)
        loss.backward()
        return loss

    solver.step(objective)
    assert found == pytest.approx(objective().item(), rel=0.06 if shares else 1e-3)


def test_a_recipe_fills_in_what_is_not_given():
    small = checked_options(FinetuneOptions, {"recipe": "small", "mixup": 0.8})
    assert (small.mixup, small.cutmix, small.augment, small.base_lr) == (0.8, 0.0, "none", 0.032)
    assert checked_options(FinetuneOptions, {"recipe": "paper"}) == FinetuneOptions()
    assert checked_options(PretrainOptions, {"recipe": "small"}).model == "tiny"
