"""The redaction, compiled into statements of the collector: the rules of `patterns`, and cards by their check digit.

One text is rewritten at a time, its percent escapes decoded first. A structured body and attributes become JSON text, so that
nested values and keys go through the same rules as a line, and are read back only where something was found; what cannot be read
back afterwards is dropped, never kept as it came. Traceparents and UUIDs are shielded while cards are looked for: their digits
are no card.

A card is a run of 13 to 19 digits that begins as issuers' numbers do and passes the Luhn check (ISO/IEC 7812-1), whatever
stands between the digits. An order number that fails the check survives. Only so many candidates of one text are checked;
every one beyond is taken out unchecked.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from components.observability.telemetry.ottl import every, key, matches, put, replace, text
from components.observability.telemetry.patterns import ESCAPES, RULES, Rule

CANDIDATES: Final = 8
"""Possible cards of one text whose check digit is computed."""
CARD: Final = "card"
"""The name of the rule that is not a pattern."""
_S: Final = r"(?:[ \-._+\x{00A0}\x{2009}\x{202F}\x{2011}]{1,2})"
_START: Final = r"(?:^|[^0-9A-Za-z])"
_END: Final = r"(?:[^0-9A-Za-z]|$)"
_RUN: Final = (
    rf"[2-68][0-9]{{3}}(?:{_S}[0-9]{{4}}){{3}}"
    rf"|3[0-9]{{3}}{_S}[0-9]{{6}}{_S}[0-9]{{4,5}}"
    r"|[2-68][0-9]{12,18}"
    rf"|[2-68](?:{_S}[0-9]){{12,18}}"
)
_FIRST: Final = rf"(?s)^(.*?{_START})({_RUN})({_END})"
_SHIELDS: Final = (
    (r"\b([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\b", "${1}GtG${2}GtG${3}GtG${4}"),
    (
        r"\b([0-9A-Fa-f]{8})-([0-9A-Fa-f]{4})-([0-9A-Fa-f]{4})-([0-9A-Fa-f]{4})-([0-9A-Fa-f]{12})\b",
        "${1}GuG${2}GuG${3}GuG${4}GuG${5}",
    ),
)
_BARE: Final = (r"([:\[,]\s*)(\[redacted:[a-z\-]+\])(\s*[,}\]])", '${1}"${2}"${3}')
"""What a number in JSON leaves behind when it is taken out: a word without quotes."""
_SEEN: Final = "GsG"
"""In front of a candidate that is no card: a letter, so that it is no candidate any more."""


def statements(path: str, cache: str, *, where: str = "", without: Sequence[str] = ()) -> Iterator[str]:
    """Rewrites the text at `path`.

    Args:
        path: Where the text is, a field or an entry of the cache.
        cache: The context's cache, for example `log.cache`.
        where: The condition under which there is a text.
        without: Rules that are left out, by name: for the test that each is needed.
    """
    encoded = key(cache, "encoded")
    escape = every(where, matches(path, "%[0-9A-Fa-f]{2}")) if where else matches(path, "%[0-9A-Fa-f]{2}")
    yield put(encoded, "false")
    yield put(encoded, "true", where=escape)
    for code, char in ESCAPES:
        yield replace(path, f"(?i)%{code}", char, where=f"{encoded} == true")
    for rule in RULES:
        if rule.name not in without:
            yield replace(path, rule.pattern, rule.put, where=where)
    if CARD not in without:
        yield from _cards(path, cache, where)


def _cards(path: str, cache: str, where: str) -> Iterator[str]:
    candidate, digits, told = key(cache, "candidate"), key(cache, "digits"), key(cache, "possible")
    yield put(told, "false")
    possible = f"IsMatch({path}, {text(f'{_START}(?:{_RUN}){_END}')})"
    yield put(told, "true", where=every(where, possible) if where else possible)
    some = f"{told} == true"
    for pattern, shielded in _SHIELDS:
        yield replace(path, pattern, shielded, where=some)
    found, pan = f"{some} and {digits} != nil", key(candidate, "pan")
    for _ in range(CANDIDATES):
        yield put(candidate, f"ExtractPatterns({path}, {text(f'{_START}(?P<pan>{_RUN}){_END}')})", where=some)
        yield put(digits, "nil", where=some)
        yield put(digits, pan, where=some)
        yield put(told, "false", where=f"{some} and {digits} == nil")
        yield replace(digits, "[^0-9]", "", where=found)
        yield replace(path, _FIRST, "${1}[redacted:card]${3}", where=f"{found} and IsValidLuhn({digits})")
        yield replace(path, _FIRST, f"${{1}}{_SEEN}${{2}}${{3}}", where=f"{found} and not IsValidLuhn({digits})")
    yield replace(path, f"({_START})(?:{_RUN})\\b", "${1}[redacted:card]", where=some)
    yield replace(path, f"{_SEEN}([0-9])", "${1}")
    yield replace(path, r"G[tu]G", "-")


def body(without: Sequence[str] = ()) -> tuple[str, ...]:
    """Rewrites a record's body where it is text: all that an agent reads. A line of JSON stays one."""
    is_json = 'IsString(log.body) and HasPrefix(log.body, "{")'
    return (
        *statements("log.body", "log.cache", where="IsString(log.body)", without=without),
        replace("log.body", *_BARE, where=is_json),
    )


def _structured(path: str, context: str, restore: str) -> Iterator[str]:
    cache = f"{context}.cache"
    json, before = key(cache, "json"), key(cache, "before")
    some = f"{path} != nil and (IsMap({path}) or IsList({path}))"
    yield put(json, '""')
    yield put(json, f"String({path})", where=some)
    yield put(before, json)
    yield from statements(json, cache, where=f'{json} != ""')
    yield replace(json, *_BARE, where=f'{json} != ""')
    changed = f"{json} != {before}"
    if restore == "body":
        yield put(path, text("[redacted:record]"), where=changed)
        yield put(path, f"ParseJSON({json})", where=changed)
    else:
        yield f"keep_matching_keys({path}, {text('^$')}) where {changed}"
        yield f'merge_maps({path}, ParseJSON({json}), "upsert") where {changed}'


def _texts(context: str, *names: str) -> Iterator[str]:
    for name in names:
        yield from statements(f"{context}.{name}", f"{context}.cache")


def _group(context: str, lines: Iterable[str]) -> dict[str, Any]:
    return {"context": context, "error_mode": "ignore", "statements": list(lines)}


def agent_processor(without: Sequence[str] = ()) -> dict[str, Any]:
    """The `transform` processor of an agent: every body is the text of a line."""
    return {"error_mode": "ignore", "log_statements": [_group("log", body(without))]}


def gateway_processor() -> dict[str, Any]:
    """The `transform` processor of the gateway: bodies, structured or not, attributes of everything, spans and their events."""
    attributes = {
        one: tuple(_structured(f"{one}.attributes", one, "attributes")) for one in ("resource", "log", "span", "spanevent")
    }
    return {
        "error_mode": "ignore",
        "log_statements": [
            _group("resource", attributes["resource"]),
            _group("log", (*body(), *_structured("log.body", "log", "body"), *attributes["log"])),
        ],
        "trace_statements": [
            _group("resource", attributes["resource"]),
            _group("span", (*attributes["span"], *_texts("span", "name", "status.message"))),
            _group("spanevent", (*attributes["spanevent"], *_texts("spanevent", "name"))),
        ],
    }


def rule_names() -> tuple[str, ...]:
    """Every rule by name."""
    return (*(rule.name for rule in RULES), CARD)


__all__ = ["CANDIDATES", "CARD", "RULES", "Rule", "agent_processor", "body", "gateway_processor", "rule_names", "statements"]
