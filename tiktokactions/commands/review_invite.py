"""Invite a person to judge."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, on_disk
from tiktokactions.files import disk_errors
from tiktokactions.reviews.people import invite
from tiktokactions.reviews.store import Store


@dataclass(frozen=True)
class Invitation:
    reviewer: str
    role: str
    token: str


def review_invite(dataset: AnyPath, name: str, *, owner: bool = False) -> Invitation:
    """Invite a person: whoever has the token judges under this name.

    An earlier invitation of the same name ends.

    Args:
        dataset: a folder made by 'curate'.
        name: the person's name, as others see it.
        owner: the person also settles conflicts and sees everybody's figures.

    Raises:
        UsageError: not a dataset folder, or a name that cannot be shown.

    Example:
        tiktokactions review invite data/ Ann
    """
    data = Dataset(on_disk(dataset, "reviews.sqlite"))
    with disk_errors(), closing(Store(data.folder)) as store:
        person, token = invite(store, name, "owner" if owner else "reviewer")
    return Invitation(person.name, person.role, token)
