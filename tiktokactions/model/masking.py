"""The tokens that the encoder does not see, and those that the decoder does not reconstruct (VideoMAE V2, dual masking).

In both masks True means *left out*: ``tube_mask`` is True where a token is hidden from the encoder, ``running_cell_mask``
where it is not decoded. Tokens are numbered ``(t' · H' + h') · W' + w'``.
"""

from __future__ import annotations

import numpy as np

from tiktokactions.errors import UsageError

Grid = tuple[int, int, int]
"""Tokens in time, down and across: (T', H', W')."""

CELL_SITES = 4
"""A running cell is 2 × 2 sites."""


def tube_mask(grid: Grid, ratio: float, rng: np.random.Generator, weights: np.ndarray | None = None) -> np.ndarray:
    """Hide the same ``int(ratio · H'W')`` sites in every time slot, so that nothing can be copied along time.

    Args:
        weights: float (H'·W',), how much likelier a site is hidden than others; None: all alike.

    Returns:
        bool (T'·H'·W',), True = hidden from the encoder.

    Raises:
        ValueError: a ratio that hides nothing or everything.
    """
    slots, sites = grid[0], grid[1] * grid[2]
    hidden = int(ratio * sites)
    if not 0 < hidden < sites:
        raise UsageError(
            f"mask ratio: got {ratio} ({hidden} of {sites} sites hidden), expected at least one site hidden and one seen"
        )
    frame = np.zeros(sites, bool)
    # Numbers from a Gumbel distribution put sites in an order in which each is drawn by its weight.
    order = rng.permutation(sites) if weights is None else np.argsort(-np.log(weights) - rng.gumbel(size=sites))
    frame[order[:hidden]] = True
    return np.tile(frame, slots)


def site_motion(video: np.ndarray, grid: Grid) -> np.ndarray:
    """float (H'·W',): how much each site of a clip changes from frame to frame, in grey levels, and one more.

    Args:
        video: uint8 (3, T, H, W).
    """
    changes = np.abs(np.diff(video.astype(np.int16), axis=1)).mean((0, 1)) if video.shape[1] > 1 else video[0, 0] * 0.0
    (_, rows, columns), (height, width) = grid, changes.shape
    return changes.reshape(rows, height // rows, columns, width // columns).mean((1, 3)).ravel() + 1


def running_cell_mask(grid: Grid, ratio: float, rng: np.random.Generator) -> np.ndarray:
    """A cell mask whose pattern moves by one site with every time slot, from a random start.

    Returns:
        bool (T'·H'·W',), True = not decoded.

    Raises:
        ValueError: an odd grid, or a ratio other than a quarter, a half or three quarters.
    """
    return running_cell_map(grid, ratio, int(rng.integers(CELL_SITES)))


def running_cell_map(grid: Grid, ratio: float, start: int) -> np.ndarray:
    """The running-cell mask that begins at pointer ``start`` (0 to 3); shape and errors of :func:`running_cell_mask`."""
    slots, rows, columns = grid
    masked = int(CELL_SITES * ratio)
    if not 1 <= masked < CELL_SITES:
        raise UsageError(
            f"decoder mask ratio: got {ratio}, expected 0.25, 0.5 or 0.75 (or 0: decode all that is hidden)"
        )
    if rows % 2 or columns % 2:
        raise UsageError(
            f"decoder mask: got a grid of {rows} × {columns} sites, expected even numbers;"
            " choose another image size, or a `decoder_mask_ratio` of 0"
        )
    queue = np.arange(CELL_SITES) < masked
    pointers = start + 1 + np.arange(slots)
    cells = queue[(pointers[:, None] + np.arange(CELL_SITES)) % CELL_SITES].reshape(slots, 2, 2)
    return np.tile(cells, (1, rows // 2, columns // 2)).reshape(-1)


def decoder_mask(hidden: np.ndarray, grid: Grid, ratio: float, rng: np.random.Generator) -> np.ndarray:
    """The decoder's mask that goes with an encoder mask: running cells, or for ratio 0 all that the encoder saw.

    Args:
        hidden: bool (N,), True = hidden from the encoder.

    Returns:
        bool (N,), True = not decoded.
    """
    return ~hidden if ratio == 0 else running_cell_mask(grid, ratio, rng)
