"""Time is frames: when each frame is on screen and for how long, and where the time stamps have a hole."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from tiktokactions.video.container import FASTEST_RATE

SAME_TIME_S = 1e-6
STANDARD_RATES = [Fraction(n, d) for n, d in ((24000, 1001), (30000, 1001), (60000, 1001))] + [
    Fraction(n) for n in (5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)
]

HOLE_S = 1.0
HOLE_FRAMES = 10
"""A gap between two frames is a hole if it is longer than both: nothing is known of that time, no scene reaches across."""
LONGEST_HELD_S = 60.0
"""A last frame may be held for a while (a pause at the end); longer, its duration is as broken as a jump of hours."""
RECENT_GAPS = 15


@dataclass
class Timeline:
    """Turns time stamps into seconds since the first frame; rebuilds those that are missing or run backwards.

    A *run* is a stretch of frames without a hole. Within it each frame lasts until the next. The last frame of a run lasts
    for its own duration, or where that fills a hole, as long as most do.
    """

    time_base: Fraction
    header_rate: Fraction
    times_s: array[float] = field(default_factory=lambda: array("d"))
    run_starts: list[int] = field(default_factory=lambda: [0])
    run_ends_s: list[float] = field(default_factory=list)
    repaired: bool = False
    first_pts: int | None = None
    _shift_s: float = 0.0
    _own_s: float = 0.0

    def add(self, pts: int | None, duration: int, starts_anew: bool = False) -> tuple[float, bool]:
        """The time of the next frame, and whether a new run starts with it.

        Args:
            pts: time stamp, in ``time_base``.
            duration: the frame's own, in ``time_base``; 0 if unknown.
            starts_anew: what it shows begins anew, for another reason than its time.
        """
        if not self.times_s:
            self.first_pts = pts
            self.repaired = pts is None
            self._append(0.0, duration)
            return 0.0, True
        last_s = self.times_s[-1]
        is_jump = False
        time_s = last_s + 1 / float(self.header_rate)
        if pts is not None and self.first_pts is not None:
            stamped_s = (pts - self.first_pts) * self.time_base.numerator / self.time_base.denominator + self._shift_s
            if stamped_s > last_s:
                time_s = stamped_s
            elif last_s - stamped_s > HOLE_S:  # another recording follows: its times count on from here
                self._shift_s += time_s - stamped_s
                is_jump = self.repaired = True
            else:
                self.repaired = True
        else:
            self.repaired = True
        starts_anew = starts_anew or is_jump or self._is_hole(time_s - last_s)
        if starts_anew:
            self._end_run(time_s)
            self.run_starts.append(len(self.times_s))
        self._append(time_s, duration)
        return time_s, starts_anew

    def finish(self, promised_end_s: float = 0.0) -> None:
        """End the last run; its last frame is held until ``promised_end_s``, if that is later than by its own duration."""
        if len(self.run_ends_s) < len(self.run_starts) and self.times_s:
            self._own_s = max(self._own_s, promised_end_s - self.times_s[-1])
            self._end_run(None)

    def end_s(self, frame: int) -> float:
        """When a frame leaves the screen; ``frame`` is not the last of a run that has not ended."""
        run = int(np.searchsorted(self.run_starts, frame, side="right"))
        is_last = frame + 1 == (self.run_starts[run] if run < len(self.run_starts) else len(self.times_s))
        return self.run_ends_s[run - 1] if is_last else self.times_s[frame + 1]

    @property
    def shown_s(self) -> float:
        """Seconds of picture so far, without what was not recorded in between."""
        ends_s = (
            [*self.run_ends_s, self.times_s[-1]] if len(self.run_ends_s) < len(self.run_starts) else self.run_ends_s
        )
        return sum(end_s - self.times_s[start] for start, end_s in zip(self.run_starts, ends_s, strict=True))

    def nominal_rate(self) -> tuple[Fraction, bool]:
        """See :func:`nominal_rate`; a last frame that is held is uneven, too."""
        rate, variable = nominal_rate(self.times_s, self.header_rate, self.run_starts[1:])
        held = any(
            end_s - self.times_s[after - 1] > 1.5 / rate
            for end_s, after in zip(self.run_ends_s, [*self.run_starts[1:], len(self.times_s)], strict=False)
        )
        return rate, variable or held

    def _append(self, time_s: float, duration: int) -> None:
        self.times_s.append(time_s)
        self._own_s = duration * self.time_base.numerator / self.time_base.denominator

    def _is_hole(self, gap_s: float) -> bool:
        if gap_s <= HOLE_S:
            return False
        recent = self.times_s[-RECENT_GAPS - 1 :]
        usual_s = float(np.median(np.diff(recent))) if len(recent) > 3 else float(1 / self.header_rate)
        return gap_s > HOLE_FRAMES * usual_s

    def _end_run(self, next_s: float | None) -> None:
        rate, _ = nominal_rate(self.times_s[self.run_starts[-1] :], self.header_rate)
        usual_s = float(1 / rate)
        longest_s = LONGEST_HELD_S if next_s is None else HOLE_S
        lasts_s = self._own_s if 1.5 * usual_s < self._own_s <= longest_s else usual_s
        end_s = self.times_s[-1] + lasts_s
        self.run_ends_s.append(end_s if next_s is None else min(end_s, next_s))


def nominal_rate(times_s: Iterable[float], header_rate: Fraction, holes: Sequence[int] = ()) -> tuple[Fraction, bool]:
    """The frame rate a video was made for, and whether its frames are unevenly spaced.

    Evenly spaced frames have the rate they were measured at, as the header's or the nearest standard fraction. Otherwise
    the shorter spacing counts: frames that a camera or an encoder left out do not lower the rate. Nothing is faster than
    what people record.

    Args:
        times_s: of the frames.
        header_rate: what the file says.
        holes: numbers of the frames before which the gap does not count.
    """
    times = np.asarray(times_s, dtype=np.float64)
    gaps_s = np.delete(np.diff(times), np.asarray(holes, dtype=np.int64) - 1)
    if len(gaps_s) < 2:
        return header_rate, False
    middle_s = float(np.median(gaps_s))
    # Containers that count in milliseconds shift frames by up to one, which is no unevenness.
    variable = bool((np.abs(gaps_s - middle_s) > max(0.25 * middle_s, 0.0015)).any())
    average = len(gaps_s) / float(gaps_s.sum())
    # Nor may gaps that are nearly alike add up: half a video at 30 and half at 25 a second is uneven.
    drift_s = np.abs(np.cumsum(gaps_s) - np.arange(1, len(gaps_s) + 1) / average).max()
    variable = variable or bool(drift_s > middle_s + 0.0015)
    measured, tolerance = average, max(1e-3, 0.5 / (len(gaps_s) + 1) ** 1.5)
    if variable:
        # The lower quartile, since up to half of the gaps may be wider because of missing frames.
        measured, tolerance = 1 / float(np.percentile(gaps_s, 25, method="lower")), 0.05
        if measured > FASTEST_RATE or (measured > 2 * average and not _is_on_a_grid(gaps_s, measured)):
            measured = average  # frames that come in bursts
    if measured > FASTEST_RATE * (1 + tolerance):
        return Fraction(FASTEST_RATE), True
    candidates = ([] if variable else [header_rate]) + STANDARD_RATES
    best = min(candidates, key=lambda rate: abs(float(rate) / measured - 1))
    if abs(float(best) / measured - 1) <= tolerance:
        return best, variable
    return Fraction(measured).limit_denominator(1001), variable


def _is_on_a_grid(gaps_s: np.ndarray, rate: float) -> bool:
    """Whether the gaps are whole multiples of one frame, as where frames were left out."""
    frames = gaps_s * rate
    return float(np.abs(frames - np.rint(frames)).mean()) < 0.15
