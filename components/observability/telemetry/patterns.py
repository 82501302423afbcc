"""What is taken out of every log line and span: secrets and personal data, by form and by the name they are kept under.

Each rule is an RE2 pattern and what stands in its place; a test shows for each that its absence leaks. RE2 looks neither ahead
nor behind, so what must stay around a match is a group. Forms that only a check digit tells from an order's number (cards)
are in `redaction`, which can compute.
Sources: ISO 13616 (lengths of IBANs, SWIFT registry), ISO/IEC 7813 (magnetic tracks), RFC 7519, 7468, 6750 and 7617, the
token forms of AWS, Vault, GitHub, GitLab, Slack, Stripe, Google and npm as each publishes them.
"""

from dataclasses import dataclass
from typing import Final

IBAN_LENGTHS: Final[dict[int, tuple[str, ...]]] = {
    15: ("NO",),
    16: ("BE",),
    18: ("DK", "FI", "FO", "GL", "NL"),
    19: ("MK", "SI"),
    20: ("AT", "BA", "EE", "KZ", "LT", "LU", "XK"),
    21: ("CH", "HR", "LI", "LV"),
    22: ("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"),
    23: ("AE", "GI", "IL", "IQ", "TL"),
    24: ("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"),
    25: ("PT",),
    26: ("IS", "TR"),
    27: ("FR", "GR", "IT", "MC", "MR", "SM"),
    28: ("AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "PL", "SV"),
    29: ("BR", "EG", "PS", "QA", "UA"),
    30: ("JO", "KW", "MU"),
    31: ("MT", "SC"),
    32: ("LC",),
    33: ("RU",),
}
"""Characters of an IBAN by country."""

_GAP: Final = r"[ \-\x{00A0}\x{202F}+]?"
_QUOTE: Final = r"""\\*["']"""
_OTHER: Final = r"\x{0660}-\x{0669}\x{06F0}-\x{06F9}\x{0966}-\x{096F}\x{FF10}-\x{FF19}"
_DIGIT: Final = rf"(?:[{_OTHER}]|(?i:\\+uff1[0-9]|%EF%BC%9[0-9]))"
"""A digit of another script, or a wide one as JSON and URLs spell it."""
_SECRETS: Final = (
    *("pass(?:word|wd|phrase|code)?s?", "pwd", "secrets?", "secret[_-]?(?:access[_-]?)?key", "token", "api[_-]?key"),
    *("private[_-]?key", "encryption[_-]?key", "signing[_-]?key", "unseal[_-]?key", "authorization", "cookies?", "credentials?"),
    *(
        "session[_-]?id",
        "sessid",
        "cvv2?",
        "cvc2?",
        "otp",
        "pin[_-]?code",
        "signature",
        "code[_-]verifier",
        "client[_-]assertion",
    ),
)
"""Ends of names that a secret is kept under: whatever letters stand before, `jwtToken` and `db.password` are such names."""
_NUMBER: Final = "(?:[_-]?(?:no|nr|number))?"
_PERSONS: Final = (
    *(
        "ssn",
        f"social[_-]?security{_NUMBER}",
        f"national[_-]?id{_NUMBER}",
        "tax[_-]?id",
        "steuer[_-]?id",
        "ppsn?",
        "pesel",
        "nir",
    ),
    *("bsn", f"passport{_NUMBER}", "date[_-]?of[_-]?birth", "dob", "birth[_-]?date", f"phone{_NUMBER}", "mobile", "msisdn"),
    *("account[_-]?(?:no|nr|number)", "acct", "konto(?:nummer)?", "sort[_-]?code", "card[_-]?holder", "iban", "bic", "pan"),
)
"""Names of personal data: a word of their own, `company` is none."""
_KEY: Final = rf"(?:{'|'.join(_SECRETS)}|(?:\b|_)(?:{'|'.join(_PERSONS)}))"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a text has if any rule behind it matches: one of these patterns, each cheap because it begins with a word or a class.

    A whole line is looked through for a word hundreds of times faster than for an alternative of sixty. `folded` patterns are in
    upper case and are asked of the folded text.
    """

    name: str
    patterns: tuple[str, ...]
    folded: bool = False


NAMED: Final = Gate(
    name="named",
    # What may follow a name in any of the named rules.
    patterns=tuple(rf"{name.upper()}[\s\"'\\:=>]" for name in (*_SECRETS, *_PERSONS)),
    folded=True,
)
LETTERED: Final = Gate(name="lettered", patterns=(rf"[A-Z][A-Z] ?[0-9][0-9](?:{_GAP}[A-Z0-9]){{5}}", "[0-9]{7}[A-Z]"))
"""An account or a person's number of letters and digits."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One thing that is taken out. `put` may name groups of the pattern as `${1}`."""

    name: str
    pattern: str
    put: str
    gate: Gate | None = None
    """None where the pattern itself begins with a word."""


def _gate(name: str, *patterns: str, folded: bool = False) -> Gate:
    return Gate(name=name, patterns=patterns, folded=folded)


def _iban() -> str:
    kinds = (f"(?:{'|'.join(countries)})[0-9]{{2}}(?:{_GAP}[A-Z0-9]){{{size - 4}}}" for size, countries in IBAN_LENGTHS.items())
    return rf"\b(?:{'|'.join(kinds)})\b"


RULES: Final = (
    Rule(
        name="private-key",
        pattern=r"(?s)-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----.*?"
        r"(?:-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----|\z)",
        put="[redacted:private-key]",
    ),
    Rule(
        # The rest of a key whose beginning went out with an earlier record.
        name="private-key-rest",
        pattern=r"\A(?:[A-Za-z0-9+/=]{1,76}\n)*-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----",
        put="[redacted:private-key]",
    ),
    Rule(name="private-key-base64", pattern=r"LS0tLS1CRUdJTi[A-Za-z0-9+/_\-=]{20,}", put="[redacted:private-key]"),
    Rule(name="jwt", pattern=r"\beyJ[A-Za-z0-9_\-]{14,}[A-Za-z0-9_\-.=+/]*", put="[redacted:token]", gate=_gate("jwt", "eyJ")),
    Rule(
        name="authorization",
        pattern=r"(?i)(\b(?:bearer|negotiate)[ +]+)[A-Za-z0-9._~+/=\-]{12,}",
        put="${1}[redacted:token]",
        gate=_gate("authorization", "BEARER", "NEGOTIATE", folded=True),
    ),
    Rule(
        name="basic",
        pattern=r"(\b[Bb][Aa][Ss][Ii][Cc][ +]+)[a-z]*[A-Z0-9+/=][A-Za-z0-9+/=]{5,}",
        put="${1}[redacted:credentials]",
        gate=_gate("basic", "BASIC", folded=True),
    ),
    Rule(
        name="cookie",
        pattern=r"(?i)(\b(?:set-)?cookie2?: *)[^\r\n\"']+",
        put="${1}[redacted:cookie]",
        gate=_gate("cookie", "COOKIE", folded=True),
    ),
    Rule(
        name="aws-key", pattern=r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b", put="[redacted:aws-key]", gate=_gate("aws-key", "AKIA", "ASIA")
    ),
    Rule(
        name="aws-session",
        pattern=r"\b(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[A-Za-z0-9+/=%_\-]{20,}",
        put="[redacted:aws-session]",
        gate=_gate("aws-session", "IQoJb3JpZ2lu", "FwoGZXIvYXdz", "FQoGZXIvYXdz"),
    ),
    Rule(
        name="vault-token",
        pattern=r"\b(?:hv[sbr]\.[A-Za-z0-9_\-]{20,}|s\.[A-Za-z0-9]{24}\b)",
        put="[redacted:vault-token]",
        gate=_gate("vault-token", r"hv[sbr]\.", r"s\.[A-Za-z0-9]{24}"),
    ),
    Rule(
        name="api-key",
        pattern=r"\b(?:xox[abeoprs]-[A-Za-z0-9\-]{10,}|gh[oprsu]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,}"
        r"|(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}|glpat-[A-Za-z0-9_\-]{20,}|npm_[A-Za-z0-9]{36}|AIza[A-Za-z0-9_\-]{35}"
        r"|hooks\.slack\.com/services/[A-Za-z0-9/]{20,})",
        put="[redacted:api-key]",
        gate=_gate(
            "api-key",
            "xox[abeoprs]-",
            "gh[oprsu]_[A-Za-z0-9]{30}",
            "github_pat_",
            "k_(?:live|test)_",
            "glpat-",
            "npm_",
            "AIza",
            r"hooks\.slack\.com/",
        ),
    ),
    Rule(
        name="url-password",
        pattern=r"([A-Za-z][A-Za-z0-9+.\-]*://[^\s/:@\"'<>]*:)[^\s/\"'<>]+@",
        put="${1}[redacted:password]@",
        gate=_gate("url-password", r"://[^\s/:@\"'<>]*:[^\s/\"'<>]+@"),
    ),
    Rule(
        name="track",
        pattern=r"%?[Bb][0-9]{12,19}\^[^^\r\n]{2,26}\^[0-9]{4,}[^?\s]*\??|;?\b[0-9]{12,19}=[0-9]{7,}\??",
        put="[redacted:card]",
        gate=_gate("track", r"\^[0-9]{4}", "=[0-9]{7}"),
    ),
    Rule(
        name="named-quoted",
        pattern=rf'(?i)({_KEY}"?\s*(?::|=>?)\s*)"(?:[^"\\]|\\.)*(?:"|\z)',
        put='${1}"[redacted:named]"',
        gate=NAMED,
    ),
    Rule(
        # JSON inside of a JSON string.
        name="named-escaped",
        pattern=rf'(?i)({_KEY}(?:\\+")?\s*(?::|=>?)\s*)(\\+)"(?:[^"\\]|\\\\\\"|\\\\|\\[^"\\])*\\+"',
        put='${1}${2}"[redacted:named]${2}"',
        gate=NAMED,
    ),
    Rule(
        name="named-single-quoted",
        pattern=rf"(?i)({_KEY}'?\s*(?::|=>?)\s*)'[^']*'",
        put="${1}'[redacted:named]'",
        gate=NAMED,
    ),
    Rule(
        name="named",
        pattern=rf"(?i)({_KEY}(?:{_QUOTE})?\s*(?:[:=]|=>)[ \t]*)"
        r"[^\s\"'&,;{}()\[\]<>\\%][^\s\"'&,;{}()\[\]<>\\]*",
        put="${1}[redacted:named]",
        gate=NAMED,
    ),
    Rule(
        name="named-xml",
        pattern=rf"(?i)(<[a-z0-9:._\-]*?{_KEY}(?:\s[^<>]*)?>)[^<>]+(</)",
        put="${1}[redacted:named]${2}",
        gate=NAMED,
    ),
    Rule(name="iban", pattern=_iban(), put="[redacted:iban]", gate=LETTERED),
    Rule(
        name="bic",
        pattern=r"(?i)(\b(?:bic|swift)(?:[_ -]?code)?\b[^A-Za-z0-9]{1,4})[A-Z]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?\b",
        put="${1}[redacted:bic]",
        gate=_gate("bic", "BIC", "SWIFT", folded=True),
    ),
    Rule(
        name="email",
        pattern=r"[\p{L}\p{N}._%+\-]+@[\p{L}\p{N}\-]+(?:\.[\p{L}\p{N}\-]+)*\.\p{L}{2,24}",
        put="[redacted:email]",
        gate=_gate("email", r"@[\p{L}\p{N}\-]+(?:\.[\p{L}\p{N}\-]+)*\.\p{L}{2}"),
    ),
    Rule(name="phone", pattern=r"\+[1-9][0-9]{0,2}(?:[ \-.()/]{0,2}[0-9]){7,12}\b", put="[redacted:phone]"),
    Rule(
        name="ssn",
        pattern=r"\b[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}\b",
        put="[redacted:national-id]",
        gate=_gate("ssn", "-[0-9]{2}-[0-9]{4}"),
    ),
    Rule(
        name="national-id",
        pattern=r"\b(?:[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?[0-9]{2}){3} ?[A-D]|[0-9]{8}[A-HJ-NP-TV-Z]|[XYZ][0-9]{7}[A-Z]"
        r"|[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z])\b",
        put="[redacted:national-id]",
        gate=LETTERED,
    ),
    Rule(
        name="card-other-digits",
        pattern=rf"(?:{_DIGIT}[ \-]?){{11,18}}{_DIGIT}",
        put="[redacted:card]",
        gate=_gate("other-digits", f"[{_OTHER}]", r"\\UFF1", "%EF%BC%9", folded=True),
    ),
)
"""In this order: a private key has lines that look like tokens, a named secret may be a card."""
ESCAPES: Final = (
    *(("25", "%"), ("20", " "), ("3A", ":"), ("3D", "="), ("2F", "/"), ("40", "@"), ("2B", "+"), ("2C", ","), ("3B", ";")),
    *(("28", "("), ("29", ")"), ("3C", "<"), ("3E", ">"), ("5B", "["), ("5D", "]"), ("7B", "{"), ("7D", "}"), ("5E", "^")),
    *(("3F", "?"), ("26", "&"), ("27", "'"), ("22", "'"), ("2D", "-"), ("2E", "."), ("5F", "_"), ("7C", "|"), ("21", "!")),
    *(("0D", ""), ("0A", "\\n"), ("C2%A0", " ")),
)
"""Percent escapes and what they stand for, that of `%` itself first. A quote becomes a single one and a new line two characters,
so that a line of JSON stays one."""
