"""Secrets and personal data to plant into logs: made by a seeded generator, with the check digits that real ones have.

`needles` are what must not be found afterwards; `phrase` is how the secret stands in a text. None of them is anybody's.
"""

import base64
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

ALNUM: Final = string.ascii_letters + string.digits
CARDS: Final = (
    *(("4", 16), ("4", 13), ("51", 16), ("2221", 16), ("37", 15), ("36", 14), ("6011", 16), ("3530", 16), ("62", 19), ("67", 16)),
)
GROUPS: Final = {13: (4, 3, 3, 3), 14: (4, 6, 4), 15: (4, 6, 5), 16: (4, 4, 4, 4), 19: (19,)}
IBANS: Final = {"DE": "18n", "GB": "4a14n", "FR": "20n3a", "IE": "4a14n", "ES": "20n", "NL": "4a10n", "IT": "1a22n"}


@dataclass(frozen=True)
class Planted:
    """One secret."""

    kind: str
    phrase: str
    needles: tuple[str, ...]


def check_digit(digits: str) -> str:
    """The Luhn digit that follows."""
    total = sum(sum(divmod(int(d) * 2, 10)) if place % 2 == 0 else int(d) for place, d in enumerate(reversed(digits)))
    return str(-total % 10)


def card(dice: random.Random, prefix: str, size: int) -> str:
    """A number with a valid check digit."""
    body = prefix + "".join(dice.choices(string.digits, k=size - len(prefix) - 1))
    return body + check_digit(body)


def no_card(dice: random.Random) -> str:
    """An order's number that looks like a card's and fails the check."""
    real = card(dice, "4", 16)
    return real[:-1] + str((int(real[-1]) + dice.randint(1, 9)) % 10)


def iban(dice: random.Random, country: str) -> str:
    """With valid check digits (ISO 7064, mod 97-10)."""
    bban, number = "", ""
    for char in IBANS[country]:
        if char.isdigit():
            number += char
        else:
            bban += "".join(dice.choices(string.digits if char == "n" else string.ascii_uppercase, k=int(number)))
            number = ""
    value = int("".join(str(int(char, 36)) for char in f"{bban}{country}00"))
    return f"{country}{98 - value % 97:02d}{bban}"


def _grouped(number: str, by: str) -> str:
    parts, at = [], 0
    for size in GROUPS[len(number)]:
        parts.append(number[at : at + size])
        at += size
    return by.join(parts)


def _word(dice: random.Random, size: int, letters: str = ALNUM) -> str:
    return "".join(dice.choices(letters, k=size))


def _base64url(dice: random.Random, text: str) -> str:
    return base64.urlsafe_b64encode((text + _word(dice, 24)).encode()).decode().rstrip("=")


def secrets(dice: random.Random) -> Iterator[Planted]:
    """One of each kind."""
    yield from _cards(dice)
    yield from _accounts(dice)
    yield from _tokens(dice)
    yield from _named(dice)
    yield from _people(dice)


def _cards(dice: random.Random) -> Iterator[Planted]:
    prefix, size = dice.choice(CARDS)
    number = card(dice, prefix, size)
    yield Planted("card", f"card {number} declined", (number,))
    for separator in (" ", "-", "."):
        spaced = _grouped(card(dice, "4", 16), separator)
        yield Planted("card", f"card {spaced} 12/29", (spaced, spaced.replace(separator, "")))
    amex = _grouped(card(dice, "37", 15), " ")
    yield Planted("card", f"charged ({amex})", (amex,))
    single = " ".join(card(dice, "51", 16))
    yield Planted("card", f"read out as {single}, twice", (single,))
    wide = "".join(chr(0xFF10 + int(digit)) for digit in card(dice, "4", 16))
    yield Planted("card-other-digits", f"typed {wide} by hand", (wide,))
    track = card(dice, "4", 16)
    yield Planted("track", f"swipe %B{track}^DOE/JANE^29121010000000000000? ok", (track, "DOE/JANE"))
    track = card(dice, "51", 16)
    yield Planted("track", f"swipe ;{track}=29121010000012345678? ok", (track, "29121010000012345678"))


def _accounts(dice: random.Random) -> Iterator[Planted]:
    plain = iban(dice, dice.choice(sorted(IBANS)))
    yield Planted("iban", f"to {plain} today", (plain,))
    plain = iban(dice, dice.choice(sorted(IBANS)))
    spaced = " ".join(plain[at : at + 4] for at in range(0, len(plain), 4))
    yield Planted("iban", f"to {spaced}.", (spaced, plain))
    bic = f"{_word(dice, 4, string.ascii_uppercase)}DE{_word(dice, 2, string.ascii_uppercase)}"
    number = _word(dice, 10, string.digits)
    yield Planted("bic", f"BIC {bic} account_number={number}", (bic, number))


def _tokens(dice: random.Random) -> Iterator[Planted]:
    jwt = f"eyJ{_base64url(dice, '{alg')}.eyJ{_base64url(dice, '{sub')}.{_word(dice, 43)}"
    yield Planted("jwt", f"got {jwt} from the issuer", (jwt, jwt.split(".")[2]))
    opaque = _word(dice, 32)
    yield Planted("authorization", f"upstream said Bearer {opaque} is stale", (opaque,))
    basic = base64.b64encode(f"svc:{_word(dice, 14)}".encode()).decode()
    yield Planted("basic", f"tried Basic {basic} first", (basic.rstrip("="),))
    cookie = _word(dice, 26)
    yield Planted("cookie", f"Cookie: theme=dark; sid={cookie}", (cookie,))
    key = f"AKIA{_word(dice, 16, string.ascii_uppercase + '234567')}"
    yield Planted("aws-key", f"signed with {key} by mistake", (key,))
    session = f"IQoJb3JpZ2lu{_word(dice, 80)}"
    yield Planted("aws-session", f"session {session} expired", (session,))
    for prefix, size in (("hvs.", 24), ("hvb.", 60), ("s.", 24)):
        token = prefix + _word(dice, size)
        yield Planted("vault-token", f"vault gave {token} back", (token,))
    for prefix, size in (
        ("xoxb-1234567890-", 24),
        ("ghp_", 36),
        ("github_pat_", 60),
        ("sk_live_", 24),
        ("glpat-", 20),
        ("AIza", 35),
    ):
        token = prefix + _word(dice, size)
        yield Planted("api-key", f"using {token} now", (token,))
    body = [_word(dice, 64) for _ in range(3)] + [_word(dice, 20)]
    text = "\n".join(("-----BEGIN PRIVATE KEY-----", *body, "-----END PRIVATE KEY-----"))
    yield Planted("private-key", text, tuple(body))
    wrapped = base64.b64encode(text.encode()).decode()
    yield Planted("private-key-base64", f"mounted {wrapped} there", (wrapped, wrapped[60:120]))
    password = _word(dice, 14)
    yield Planted("url-password", f"dial postgres://ledger:{password}@ledger-rw:5432/ledger failed", (password,))


def _named(dice: random.Random) -> Iterator[Planted]:
    for shape, kind in (
        ("password={}", "named"),
        ("db.password: {}", "named"),
        ('client_secret="{}"', "named-quoted"),
        ("apiKey='{}'", "named-single-quoted"),
        ("<ns:password>{}</ns:password>", "named-xml"),
        ('{{"user":"jane","refresh_token":"{}"}}', "named-quoted"),
        ("aws_secret_access_key = {}", "named"),
        ("cvv={} ok", "named"),
    ):
        value = _word(dice, 20)
        yield Planted(kind, shape.format(value), (value,))


def _people(dice: random.Random) -> Iterator[Planted]:
    local = _word(dice, 10, string.ascii_lowercase)
    yield Planted("email", f"mailed {local}@mail.example.org twice", (local,))
    phone = f"{dice.randint(200, 999)} {dice.randint(1000000, 9999999)}"
    yield Planted("phone", f"called +49 {phone} back", (phone,))
    ssn = f"{dice.randint(100, 799)}-{dice.randint(10, 99)}-{dice.randint(1000, 9999)}"
    yield Planted("ssn", f"holder {ssn} verified", (ssn,))
    nino = f"AB {dice.randint(10, 99)} {dice.randint(10, 99)} {dice.randint(10, 99)} C"
    yield Planted("national-id", f"holder {nino} verified", (nino,))
    dni = f"{dice.randint(10000000, 99999999)}{dice.choice('TRWAGMYFPDXBNJZSQVHLCKE')}"
    yield Planted("national-id", f"holder {dni} verified", (dni,))


def spellings(needle: str) -> set[str]:
    """The needle as it stands, in a URL and in JSON."""
    return {needle, quote(needle, safe=""), quote(needle), needle.replace("/", "\\/"), needle.replace('"', '\\"')}
