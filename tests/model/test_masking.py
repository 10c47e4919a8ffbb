from __future__ import annotations

import numpy as np
import pytest

from tiktokactions.model.masking import decoder_mask, running_cell_map, running_cell_mask, site_motion, tube_mask

GRIDS = {"8x14x14": (8, 14, 14), "8x4x4": (8, 4, 4), "4x6x8": (4, 6, 8)}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_running_cells_are_the_reference(vectors, name, ratio):
    wanted = vectors["masks"][f"running_cell_{name}_r{ratio}"].numpy().astype(bool)
    got = [running_cell_map(GRIDS[name], ratio, start) for start in range(4)]
    assert (np.stack(got).reshape(wanted.shape) == wanted).all()


@pytest.mark.parametrize("grid", [(1, 2, 2), (3, 2, 6), (5, 8, 4), (8, 16, 16)], ids=str)
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_running_cells_of_any_grid(grid, ratio):
    """Every cell leaves out the same number of sites; every site is left out equally often in four time slots."""
    for start in range(4):
        mask = running_cell_map(grid, ratio, start).reshape(grid)
        cells = mask.reshape(grid[0], grid[1] // 2, 2, grid[2] // 2, 2).sum((2, 4))
        assert (cells == int(4 * ratio)).all()
        if grid[0] >= 4:
            assert (mask[:4].sum(0) == int(4 * ratio)).all()
        assert (running_cell_map((grid[0] + 1, *grid[1:]), ratio, start).reshape(-1, *grid[1:])[1:].shape) == grid


def test_the_start_is_drawn_evenly(vectors, rng):
    grid = (8, 4, 4)
    maps = [running_cell_map(grid, 0.5, start).tobytes() for start in range(4)]
    drawn = [maps.index(running_cell_mask(grid, 0.5, rng).tobytes()) for _ in range(2000)]
    assert np.bincount(drawn, minlength=4) == pytest.approx(np.full(4, 500), abs=80)
    known = {m.tobytes() for m in (running_cell_map((8, 14, 14), 0.5, s) for s in range(4))}
    for draw in vectors["masks"]["running_cell_draws_8x14x14_r0.5_npseed0"].numpy().astype(bool):
        assert draw.reshape(-1).tobytes() in known


@pytest.mark.parametrize(("name", "ratio"), [("8x14x14", 0.9), ("8x14x14", 0.75), ("8x4x4", 0.9)])
def test_tubes_are_like_the_reference(vectors, rng, name, ratio):
    grid = GRIDS[name]
    wanted = vectors["masks"][f"tube_{name}_r{ratio}_npseed0"].numpy().astype(bool)
    got = tube_mask(grid, ratio, rng).reshape(grid[0], -1)
    assert got.shape == wanted[0].shape
    assert (got == got[0]).all(), "the same sites at every time"
    assert (wanted == wanted[:, :1]).all()
    assert got[0].sum() == wanted[0, 0].sum()


def test_every_site_is_hidden_equally_often(rng):
    drawn = np.mean([tube_mask((2, 4, 5), 0.75, rng).reshape(2, 20)[0] for _ in range(4000)], axis=0)
    assert drawn == pytest.approx(np.full(20, 0.75), abs=0.03)


def test_places_that_move_are_hidden_rather_than_others(rng):
    video = np.full((3, 4, 32, 32), 90, np.uint8)
    video[:, ::2, 16:, :16] = 130  # one of four sites flickers
    motion = site_motion(video, (2, 2, 2))
    assert motion.tolist() == [1, 1, 41, 1]
    masks = np.stack([tube_mask((2, 2, 2), 0.25, rng, motion) for _ in range(400)])
    assert masks.sum(1).tolist() == [2] * 400 and (masks[:, :4] == masks[:, 4:]).all()
    assert masks[:, :4].mean(0) == pytest.approx(motion / motion.sum(), abs=0.05)
    assert site_motion(video[:, :1], (1, 2, 2)).tolist() == [1, 1, 1, 1]
    again = [tube_mask((2, 2, 2), 0.5, np.random.default_rng(3), motion) for _ in range(2)]
    assert np.array_equal(again[0], again[1])


def test_the_paper_s_counts(rng):
    """160 of 1568 tokens are seen, 784 decoded, 704 of them supervised, whatever is drawn (Table 2: 0.9 and 0.5)."""
    for _ in range(50):
        hidden = tube_mask((8, 14, 14), 0.9, rng)
        skipped = decoder_mask(hidden, (8, 14, 14), 0.5, rng)
        assert ((~hidden).sum(), (~skipped).sum(), (hidden & ~skipped).sum()) == (160, 784, 704)


def test_ratio_0_decodes_what_is_hidden(rng):
    hidden = tube_mask((8, 3, 5), 0.8, rng)
    assert (decoder_mask(hidden, (8, 3, 5), 0, rng) == ~hidden).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: tube_mask((8, 4, 4), 0.99, rng), None),
        (lambda rng: tube_mask((8, 4, 4), 0.01, rng), "mask ratio: got 0.01"),
        (lambda rng: tube_mask((8, 4, 4), 1.0, rng), "mask ratio: got 1.0"),
        (lambda rng: running_cell_mask((8, 5, 4), 0.5, rng), "grid of 5 × 4"),
        (lambda rng: running_cell_mask((8, 4, 4), 0.1, rng), "decoder mask ratio: got 0.1"),
        (lambda rng: running_cell_mask((8, 4, 4), 1.0, rng), "decoder mask ratio: got 1.0"),
    ],
)
def test_impossible_masks_are_refused(rng, call, message):
    if message is None:
        assert (~call(rng)).sum() == 8
    else:
        with pytest.raises(ValueError, match=message):
            call(rng)
