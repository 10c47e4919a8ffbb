"""The types of the fields of a :class:`~tiktokactions.metadata.tables.Post`. What does not fit is told, never turned into
text: an account that is given as an object is no name.
"""

from __future__ import annotations

import ast
import json
import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tiktokactions.metadata.names import id_in_address
from tiktokactions.text import clean_hashtag, clean_label

ABSENT: tuple[object, ...] = (None, "", [], {}, "nan", "NaN", "None", "null", "NULL", "<NA>", "NA")
"""What tables write where they know nothing (pandas, R)."""
_FLOAT = re.compile(r"\d{15,}[.,]\d+|\d[.,]\d+[eE]\+?\d+|\d[eE]\+\d+")
_NAMED = ("title", "name", "hashtagName", "hashtag_name", "cha_name")
_SCALES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9}
_EARLIEST_S, _LATEST_S = 1_000_000_000, 4_000_000_000


class MisfitError(ValueError):
    """Internal: a value of another type than its field; the message says what was expected."""


def as_id(value: object) -> str:
    """An id as text. Numbers that lost their last digits (floats, ``7.30144E+18``) are refused."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    if isinstance(value, float) or (isinstance(value, str) and _FLOAT.fullmatch(value.strip())):
        raise MisfitError(
            f"the id {value} was rounded, by a spreadsheet for example; import a file that keeps it as text"
        )
    # Spreadsheets keep a number as text behind an apostrophe, or in a formula: ="73…".
    text = re.sub(r"^=?[\"'](?=\d)|\"$", "", value.strip()) if isinstance(value, str) else ""
    if text and not text.startswith(("{", "[")):
        return text
    raise MisfitError(f"expected an id, got {_shown(value)}")


def as_key(value: object) -> str:
    """An id that a platform may have given."""
    text = as_id(value)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text):
        raise MisfitError(f"expected an id of letters, digits, - and _, got {_shown(value)}")
    return text


def is_rounded(video_id: str) -> bool:
    """Whether an id of a table has only zeros behind the fifteen digits that a spreadsheet keeps.

    One true id in ten thousand looks like that too.
    """
    return len(video_id) >= 17 and video_id.isdigit() and not video_id[15:].strip("0")


def lost_digits(number: int) -> bool:
    """Whether a number of JSON is one that jq, JavaScript or pandas write where they hold it as a 64-bit float.

    Three true ids in a thousand look like that too.
    """
    near = float(min(number, 2**64))
    return number > 2**53 and number in (int(near), int(Decimal(repr(near))), int(Decimal(f"{near:.17g}")))


def as_address(value: object) -> str:
    """The id in the address of a video."""
    found = id_in_address(value) if isinstance(value, str) else None
    if found is None:
        is_short = isinstance(value, str) and re.search(r"//(vm|vt)\.tiktok\.com/|tiktok\.com/t/", value)
        how = "; open it and take the address that it leads to" if is_short else ""
        raise MisfitError(f"expected the address of a video, got {_shown(value)}{how}")
    return found


def as_name(value: object) -> str:
    """An account's name, without ``@``."""
    text = str(value).strip().lstrip("@").strip() if isinstance(value, (str, int)) and value is not True else ""
    if not text or text.startswith(("{", "[", "http://", "https://")):
        raise MisfitError(f"expected a name, got {_shown(value)}")
    return text


def as_text(value: object) -> str:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    raise MisfitError(f"expected text, got {_shown(value)}")


def as_region(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z]{2}", value.strip()):
        return value.strip().upper()
    raise MisfitError(f"expected a country of two letters, got {_shown(value)}")


def as_count(value: object) -> int:
    """``1200``, ``1,200``, ``1.200``, ``1200.0``, R's ``1e+05`` and the platform's ``1.2K``."""
    text = str(value).strip().replace("_", "") if isinstance(value, (str, int, float)) and value is not True else ""
    text = re.sub(r"[,\s\u00a0\u202f](?=\d{3}(\D|$))", "", text)
    text = text.replace(".", "") if re.fullmatch(r"[1-9]\d{0,2}(\.\d{3})+", text) else text.replace(",", ".")
    found = re.fullmatch(r"(\d+(?:\.\d+)?(?:E\+?\d\d?)?)([KMB]?)", text.upper())
    if found is None:
        raise MisfitError(f"expected a number, got {_shown(value)}")
    return round(float(found[1]) * _SCALES[found[2]]) if not found[0].isdigit() else int(found[1])


def as_seconds(value: object) -> float:
    """``6``, ``6.5``, ``01:02``."""
    text = str(value).strip() if isinstance(value, (str, int, float)) and value is not True else ""
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", text):
        raise MisfitError(f"expected seconds, got {_shown(value)}")
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def as_time(value: object) -> int:
    """Unix seconds, of these, of milliseconds, or of a date in ISO 8601 or as ``20240103``; in UTC where no zone is given."""
    text = str(value).strip() if isinstance(value, (str, int, float)) and value is not True else ""
    if re.fullmatch(r"\d{8}", text):
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    try:
        if re.fullmatch(r"\d+(\.\d+)?", text):
            seconds = float(text)
            seconds /= 1000 if seconds > _LATEST_S else 1
        else:
            moment = datetime.fromisoformat(text.removesuffix(" UTC"))
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        seconds = math.nan
    if not _EARLIEST_S <= seconds <= _LATEST_S:
        raise MisfitError(f"expected a date, got {_shown(value)}")
    return int(seconds)


def as_hashtags(value: object) -> tuple[str, ...]:
    """Hashtags from a list of names or of objects that have one, or from text: ``#a #b``, ``a,b``, ``a|b``, ``a b``."""
    return _cleaned(_listed(value, r"[\s,;|#]+"), clean_hashtag)


def as_labels(value: object) -> tuple[str, ...]:
    """Labels as :func:`as_hashtags`, but with their capitals, and a phrase without ``#`` stays one label."""
    pattern = r"#" if isinstance(value, str) and "#" in value else r"[;|]"
    return _cleaned([part.strip(" \t,;|") for part in _listed(value, pattern)], clean_label)


def _listed(value: object, pattern: str) -> list[str]:
    if isinstance(value, str):
        value = parsed(value)
    if isinstance(value, str):
        r_vector = re.fullmatch(r"(?:c|list|character)\(0?(.*)\)", value.strip(), re.DOTALL)
        return re.split(pattern, r_vector[1].replace('"', "") if r_vector else value)
    if not isinstance(value, (list, tuple)):
        raise MisfitError(f"expected a list, got {_shown(value)}")
    named = (next((p[n] for n in _NAMED if p.get(n)), "") if isinstance(p, dict) else p for p in value)
    return [str(part) for part in named if isinstance(part, (str, int))]


def _cleaned(parts: list[str], clean: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(clean, parts))))


def parsed(text: str) -> Any:
    """A cell of a table that holds a list or an object, in JSON's notation or Python's; any other cell as it is."""
    if not text.strip().startswith(("[", "{")):
        return text
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return text


def _shown(value: object) -> str:
    kinds = {dict: "an object", list: "a list", bool: "yes or no", type(None): "nothing"}
    return kinds.get(type(value), repr(value)[:60])
