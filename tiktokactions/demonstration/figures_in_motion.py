"""Figures in motion: where the joints of a simple body are, frame by frame, while it does one of six actions.

Every limb that an action does not use is held in some pose, and these poses look like moments of the other actions (a
raised arm, arms in front, bent knees, a lifted leg): a single frame tells less than the motion does.

Axes of a body: x to its left, y up, z forward, the origin on the floor; lengths are shares of its height.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ACTIONS = ("clap", "jump", "kick", "squat", "walk", "wave")

UPPER_ARM, FOREARM, THIGH, SHIN = range(4)
SIDES = (1.0, -1.0)
"""Left, right: the sign of x."""
_ON_EACH_SIDE = ("shoulder", "elbow", "hand", "hip", "knee", "ankle", "toe")
JOINTS = ("pelvis", "neck", "head", *(f"{side}_{part}" for side in ("left", "right") for part in _ON_EACH_SIDE))

# Upper arm and forearm as (pitch, spread) in degrees; see _direction.
_HELD_ARMS = (
    ((0, 9), (8, 5)),  # hanging
    ((-8, 48), (5, -38)),  # hand on the hip
    ((0, 150), (0, 168)),  # straight up
    ((0, 82), (0, 160)),  # a greeting
    ((62, 10), (80, -12)),  # in front
    ((0, 84), (0, 88)),  # out
    ((28, 14), (92, -38)),  # folded
)
# Thigh and shin of the left and the right leg.
_HELD_LEGS = (
    ((0, 4), (0, 4), (0, 4), (0, 4)),  # upright
    ((0, 17), (0, 17), (0, 17), (0, 17)),  # astride
    ((24, 4), (10, 4), (-16, 4), (-22, 4)),  # a step forward
    ((34, 12), (-22, 8), (34, 12), (-22, 8)),  # knees bent
    ((62, 12), (-12, 6), (2, 2), (0, 2)),  # on one leg
)
# How often each is held. The more of the first, the easier the set, since fewer arms are raised without moving.
_HELD_ARM_SHARES = (0.64, *6 * (0.06,))
_HELD_LEG_SHARES = (0.7, 0.12, 0.06, 0.06, 0.06)


@dataclass(frozen=True)
class Body:
    """Lengths of a person as shares of the height; ``girth`` multiplies how thick everything is."""

    torso: float
    upper_arm: float
    forearm: float
    thigh: float
    shin: float
    shoulder: float
    """Half the distance between the shoulders."""
    hip: float
    head: float
    """Radius."""
    girth: float

    @staticmethod
    def draw(rng: np.random.Generator) -> Body:
        legs, arms = rng.uniform(0.45, 0.52), rng.uniform(0.32, 0.38)
        head = rng.uniform(0.062, 0.082)
        return Body(
            torso=1 - legs - 2 * head - 0.03,
            upper_arm=arms * 0.52,
            forearm=arms * 0.48,
            thigh=legs * 0.5,
            shin=legs * 0.5,
            shoulder=rng.uniform(0.1, 0.135),
            hip=rng.uniform(0.05, 0.075),
            head=head,
            girth=rng.uniform(1.1, 1.5),
        )


@dataclass
class Pose:
    """What a body does over T frames; an action changes the limbs that it uses and leaves the others held."""

    angles: np.ndarray
    """Radians, (T, 2 sides, 4 limbs from ``UPPER_ARM`` to ``SHIN``, pitch and spread)."""
    lean: np.ndarray
    """Of the trunk, radians forward, (T,)."""
    lift: np.ndarray
    """Height of the lower foot above the floor, (T,)."""
    travel: np.ndarray
    """Distance walked, (T,)."""
    support: tuple[float, float] | None = (0.5, 0.5)
    """Which foot stays where it is, in shares; None: the pelvis moves evenly instead."""


def joints_of(action: str, body: Body, times_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Positions of ``JOINTS`` at the given times, float64 (T, 17, 3): speed, phase, side and extent come from ``rng``.

    Raises:
        KeyError: an action that is not in ``ACTIONS``.
    """
    pose = _held_pose(times_s, rng)
    _MOVES[action](pose, times_s, rng)
    return _joints(body, pose)


def _held_pose(times_s: np.ndarray, rng: np.random.Generator) -> Pose:
    """Standing still with a slight sway, the same for every action."""
    angles, frames = np.zeros((2, 4, 2)), len(times_s)
    both = rng.random() < 0.5
    arms = rng.choice(len(_HELD_ARMS), size=2, p=_HELD_ARM_SHARES)
    angles[0, :2] = _HELD_ARMS[arms[0]]
    angles[1, :2] = _HELD_ARMS[arms[0] if both else arms[1]]
    legs = np.reshape(_HELD_LEGS[rng.choice(len(_HELD_LEGS), p=_HELD_LEG_SHARES)], (2, 2, 2))
    angles[:, 2:] = legs[::-1] if rng.random() < 0.5 else legs
    angles[:, :2] += rng.uniform(-9, 9, (2, 2, 2))
    sway = rng.uniform(0.5, 2.5, (2, 4, 2)) * np.array([1, 1, 0.5, 0.5])[None, :, None]
    phases, rates_hz = rng.uniform(0, 2 * np.pi, (2, 4, 2)), rng.uniform(0.3, 0.9, (2, 4, 2))
    moving = angles + sway * np.sin(2 * np.pi * rates_hz * times_s[:, None, None, None] + phases)
    lean = np.full(frames, rng.uniform(-0.04, 0.1))
    return Pose(np.radians(moving), lean, np.zeros(frames), np.zeros(frames))


# --- the actions: each turns some limbs, with its own rate, phase and extent -----------------------------------------


def _turns(times_s: np.ndarray, rng: np.random.Generator, slowest_hz: float, fastest_hz: float) -> np.ndarray:
    """The repetitions of the action up to each time, from a random start."""
    return rng.random() + rng.uniform(slowest_hz, fastest_hz) * times_s


def _wave(pose: Pose, times_s: np.ndarray, rng: np.random.Generator) -> None:
    swing = np.sin(2 * np.pi * _turns(times_s, rng, 1.2, 1.7))
    extent = rng.uniform(40, 55)
    raised, side = rng.uniform(80, 140), rng.integers(2)
    pose.angles[:, side, UPPER_ARM] = _radians(rng.uniform(-5, 15), raised + 0.3 * extent * swing)
    pose.angles[:, side, FOREARM] = _radians(rng.uniform(-5, 20), rng.uniform(158, 178) + extent * swing)


def _clap(pose: Pose, times_s: np.ndarray, rng: np.random.Generator) -> None:
    opening = rng.uniform(0.95, 1.25) * (0.5 + 0.5 * np.sin(2 * np.pi * _turns(times_s, rng, 1.2, 1.7)))
    height = rng.uniform(45, 85)
    for side in range(2):
        pose.angles[:, side, UPPER_ARM] = _radians(height, 4 + 42 * opening)
        pose.angles[:, side, FOREARM] = _radians(height + 12, -38 + 82 * opening)


def _bend_knees(pose: Pose, bend: np.ndarray, rng: np.random.Generator) -> None:
    """``bend`` (T,): 0 upright, 1 sitting on the heels."""
    spread = rng.uniform(4, 20)
    for side in range(2):
        pose.angles[:, side, THIGH] = _radians(4 + 98 * bend, spread)
        pose.angles[:, side, SHIN] = _radians(-48 * bend, spread * 0.6)
    pose.lean += np.radians(rng.uniform(20, 40)) * bend


def _swing_arms_along(pose: Pose, strength: np.ndarray, rng: np.random.Generator) -> None:
    """Half of those who jump or squat move the arms forward with it."""
    if rng.random() < 0.5:
        for side in range(2):
            pose.angles[:, side, UPPER_ARM] = _radians(80 * strength, 10.0)
            pose.angles[:, side, FOREARM] = _radians(10 + 85 * strength, 4.0)


def _squat(pose: Pose, times_s: np.ndarray, rng: np.random.Generator) -> None:
    bend = 0.5 - 0.5 * np.cos(2 * np.pi * _turns(times_s, rng, 0.9, 1.2))
    _bend_knees(pose, rng.uniform(0.85, 1) * bend, rng)
    _swing_arms_along(pose, bend, rng)


def _jump(pose: Pose, times_s: np.ndarray, rng: np.random.Generator) -> None:
    turn = _turns(times_s, rng, 1.1, 1.5) % 1
    # Crouch, push off at 0.34, fly, land at 0.72, give way, straighten.
    bend = np.interp(turn, (0, 0.18, 0.34, 0.53, 0.72, 0.84, 1), (0.1, 0.4, 0, 0.1, 0, 0.3, 0.1))
    _bend_knees(pose, bend, rng)
    _swing_arms_along(pose, np.interp(turn, (0, 0.2, 0.5, 1), (0.2, 0, 1, 0.2)), rng)
    flight = np.clip((turn - 0.34) / 0.38, 0, 1)
    pose.lift += rng.uniform(0.18, 0.28) * 4 * flight * (1 - flight)


def _walk(pose: Pose, times_s: np.ndarray, rng: np.random.Generator) -> None:
    turns = _turns(times_s, rng, 1.0, 1.4)
    stride, with_arms = rng.uniform(30, 40), rng.random() < 0.75
    swing_arms = rng.uniform(30, 45)
    for side, sign in enumerate(SIDES):
        swing, lifting = sign * np.sin(2 * np.pi * turns), np.maximum(0, sign * np.cos(2 * np.pi * turns))
        pose.angles[:, side, THIGH] = _radians(6 + stride * swing, 3.0)
        pose.angles[:, side, SHIN] = _radians(stride * swing - 8 - 60 * lifting, 2.0)
        if with_arms:
            pose.angles[:, side, UPPER_ARM] = _radians(-swing_arms * swing, 8.0)
            pose.angles[:, side, FOREARM] = _radians(22 - swing_arms * swing, 4.0)
    pose.support = None
    way = times_s * rng.uniform(0.35, 0.6)
    pose.travel += way - way.mean()


def _kick(pose: Pose, times_s: np.ndarray, rng: np.random.Generator) -> None:
    reach = 0.5 - 0.5 * np.cos(2 * np.pi * _turns(times_s, rng, 0.9, 1.3))
    side, sideways = rng.integers(2), rng.uniform(0.4, 1)
    extent = rng.uniform(85, 105)
    pitch, spread = -12 + extent * (1 - sideways) * reach, 5 + extent * sideways * reach
    knee = 45 * np.sin(np.pi * reach)  # bent on the way, straight at both ends
    pose.angles[:, side, THIGH] = _radians(pitch, spread)
    pose.angles[:, side, SHIN] = _radians(pitch - knee, spread)
    pose.angles[:, 1 - side, THIGH] = pose.angles[:, 1 - side, SHIN] = _radians(2.0, 3.0)
    pose.lean -= np.radians(12) * reach
    pose.support = (0.0, 1.0) if side == 0 else (1.0, 0.0)


_MOVES: dict[str, Callable[[Pose, np.ndarray, np.random.Generator], None]] = {
    "clap": _clap,
    "jump": _jump,
    "kick": _kick,
    "squat": _squat,
    "walk": _walk,
    "wave": _wave,
}


def _radians(pitch: float | np.ndarray, spread: float | np.ndarray) -> np.ndarray:
    """Degrees to radians, the last axis (pitch, spread)."""
    return np.radians(np.stack(np.broadcast_arrays(pitch, spread), axis=-1))


# --- from angles to places -------------------------------------------------------------------------------------------


def _direction(angles: np.ndarray, side: float) -> np.ndarray:
    """Where a limb points, (T, 3): (0, 0) hangs down, pitch lifts it forward, spread outward; 180 degrees is up."""
    pitch, spread = angles[:, 0], angles[:, 1]
    return np.stack([side * np.sin(spread), -np.cos(spread) * np.cos(pitch), np.cos(spread) * np.sin(pitch)], axis=-1)


def _joints(body: Body, pose: Pose) -> np.ndarray:
    """Around a pelvis at the origin first; then the whole body is put onto the feet it stands on."""
    frames = len(pose.lean)
    up = np.stack([np.zeros(frames), np.cos(pose.lean), np.sin(pose.lean)], axis=-1)
    neck = body.torso * up
    places = [np.zeros((frames, 3)), neck, neck + (body.head + 0.03) * up]
    ankles = []
    for side, sign in enumerate(SIDES):
        along = [_direction(pose.angles[:, side, limb], sign) for limb in range(4)]
        shoulder = neck - 0.02 * up + np.array([sign * body.shoulder, 0, 0])
        elbow = shoulder + body.upper_arm * along[UPPER_ARM]
        hip = np.broadcast_to([sign * body.hip, 0.0, 0.0], (frames, 3))
        knee = hip + body.thigh * along[THIGH]
        ankle = knee + body.shin * along[SHIN]
        # The foot stands at right angles to the shin, turned out a little.
        toe = ankle + 0.075 * np.stack([np.full(frames, 0.35 * sign), along[SHIN][:, 2], -along[SHIN][:, 1]], axis=-1)
        places += [shoulder, elbow, elbow + body.forearm * along[FOREARM], hip, knee, ankle, toe]
        ankles.append(ankle)
    joints = np.stack(places, axis=1)
    joints[:, :, 1] += (pose.lift - np.minimum(ankles[0][:, 1], ankles[1][:, 1]))[:, None]
    joints[:, :, 2] += pose.travel[:, None]
    if pose.support is not None:
        left, right = pose.support
        joints[:, :, [0, 2]] -= (left * ankles[0] + right * ankles[1])[:, None, [0, 2]]
    return joints
