"""Invite a person to judge."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.errors import on_disk
from tiktokactions.files import disk_errors

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Invitation:
    reviewer: str
    role: str
    token: str


def review_invite(dataset: str | os.PathLike[str], name: str, *, role: str = "reviewer") -> Invitation:
    """Make an invitation: whoever has its token judges under this name. An earlier one of the same name ends.

    Raises:
        UsageError: not a dataset folder, or a name that cannot be shown.
    """
    from tiktokactions.reviews.people import invite
    from tiktokactions.reviews.store import Store

    data = Dataset(on_disk(dataset, "reviews.sqlite"))
    with disk_errors():
        store = Store(data.folder)
        try:
            person, token = invite(store, name, role)
        finally:
            store.close()
    return Invitation(person.name, person.role, token)
