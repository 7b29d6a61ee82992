"""Random passwords. Pure, but for the randomness passed in.

Source: API reference of GetRandomPassword.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from random import Random

from dryport.aws.errors import ServiceError


def classes(
    *, lowercase: bool, uppercase: bool, numbers: bool, punctuation: bool, space: bool, excluded: str
) -> list[str]:
    """The types of characters that a password is made of, without the excluded ones."""
    wanted = (
        (lowercase, string.ascii_lowercase),
        (uppercase, string.ascii_uppercase),
        (numbers, string.digits),
        (punctuation, string.punctuation),
        (space, " "),
    )
    kept = ("".join(character for character in alphabet if character not in excluded) for on, alphabet in wanted if on)
    return [alphabet for alphabet in kept if alphabet]


def password(random: Random, length: int, alphabets: Sequence[str], each: bool) -> str:
    """A password, with a character of ``each`` type if so. ``random`` must be a cryptographic source.

    Raises ServiceError where nothing is left to choose from, or the length is too short.
    """
    if not alphabets:
        raise ServiceError("InvalidParameterException", "The password can't be generated without any characters.")
    if each and length < len(alphabets):
        raise ServiceError("InvalidParameterException", "Password length is too short based on the required types.")
    required = [random.choice(alphabet) for alphabet in alphabets] if each else []
    everything = "".join(alphabets)
    characters = required + [random.choice(everything) for _ in range(length - len(required))]
    random.shuffle(characters)
    return "".join(characters)
