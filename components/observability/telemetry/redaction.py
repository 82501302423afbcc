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
from components.observability.telemetry.patterns import ESCAPES, LETTERED, NAMED, RULES, Rule

CANDIDATES: Final = 8
"""Possible cards of one text whose check digit is computed."""
SHARED: Final = (NAMED, LETTERED)
"""Gates of several rules, asked once."""
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
_LONG: Final = rf"[0-9](?:{_S}?[0-9]){{12}}"
"""What has a card has this; it costs a quarter of the whole pattern."""
_ESCAPE: Final = "%[0-9A-Fa-f]{2}"
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


def _decoded(path: str, where: str) -> Iterator[str]:
    for code, char in ESCAPES:
        yield replace(path, f"(?i)%{code}", char, where=where)


def _ruled(path: str, cache: str, where: str, without: Sequence[str]) -> Iterator[str]:
    folded = key(cache, "folded")
    # To lower and to upper: the long s and the Kelvin sign, which `(?i)` takes for letters, become letters.
    yield put(folded, f"ToUpperCase(ToLowerCase({path}))", where=where)
    told: set[str] = set()
    for rule in RULES:
        if rule.name in without:
            continue
        if rule.gate is None:
            yield replace(path, rule.pattern, rule.put, where=where)
            continue
        opened = " or ".join(matches(folded if rule.gate.folded else path, one) for one in rule.gate.patterns)
        if rule.gate in SHARED:
            flag = key(cache, rule.gate.name)
            if rule.gate.name not in told:
                yield from _tell(flag, _every(where, f"({opened})"))
            told.add(rule.gate.name)
            opened = f"{flag} == true"
        yield replace(path, rule.pattern, rule.put, where=_every(where, f"({opened})"))


def statements(path: str, cache: str, *, where: str) -> Iterator[str]:
    """Rewrites the text at `path`, in one group of statements: what is costly is asked once and told in the cache.

    Args:
        path: Where the text is, a field or an entry of the cache.
        cache: The context's cache, for example `log.cache`.
        where: The condition under which there is a text.
    """
    encoded, long = key(cache, "encoded"), key(cache, "long")
    yield from _tell(encoded, every(where, matches(path, _ESCAPE)))
    yield from _decoded(path, f"{encoded} == true")
    yield from _ruled(path, cache, where, ())
    yield from _tell(long, every(where, _possible(path)))
    yield from _cards(path, cache, f"{long} == true")


def _possible(path: str) -> str:
    return every(matches(path, _LONG), matches(path, f"{_START}(?:{_RUN}){_END}"))


def _tell(flag: str, condition: str) -> Iterator[str]:
    yield put(flag, "false")
    yield put(flag, "true", where=condition)


def _every(where: str, condition: str) -> str:
    return every(where, condition) if where else condition


def _cards(path: str, cache: str, where: str) -> Iterator[str]:
    candidate, digits, told = key(cache, "candidate"), key(cache, "digits"), key(cache, "possible")
    yield put(told, "true", where=where)
    for pattern, shielded in _SHIELDS:
        yield replace(path, pattern, shielded, where=where)
    some = _every(where, f"{told} == true")
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
    yield replace(path, f"{_SEEN}([0-9])", "${1}", where=where)
    yield replace(path, r"G[tu]G", "-", where=where)


def _body(without: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rewrites a record's body where it is text: all that an agent reads. A line of JSON stays one.

    What few lines need is a group of its own with one condition, so that the others pay for one question.
    """
    path, is_text = "log.body", "IsString(log.body)"
    cards = () if CARD in without else (_group("log", _cards(path, "log.cache", ""), every(is_text, _possible(path))),)
    return [
        _group("log", _decoded(path, ""), every(is_text, matches(path, _ESCAPE))),
        _group("log", _ruled(path, "log.cache", "", without), is_text),
        *cards,
        _group("log", [replace(path, *_BARE)], every(is_text, 'HasPrefix(log.body, "{")', matches(path, r"\[redacted:"))),
    ]


def _whole(context: str, *, texts: Sequence[str] = (), trees: Sequence[str] = ()) -> Iterator[str]:
    """Rewrites fields of a context as one JSON text: fields that are text, and those that may be maps or lists."""
    cache = f"{context}.cache"
    json, before, back = key(cache, "json"), key(cache, "before"), key(cache, "back")
    held = {name: f"{key(cache, 'whole')}[{text(name)}]" for name in (*texts, *trees)}
    yield put(key(cache, "whole"), 'ParseJSON("{}")')
    for name in texts:
        yield put(held[name], f"{context}.{name}", where=f'{context}.{name} != ""')
    for name in trees:
        path = f"{context}.{name}"
        yield put(held[name], path, where=f"{path} != nil and (IsMap({path}) or IsList({path}))")
    yield put(json, f"String({key(cache, 'whole')})")
    yield put(before, json)
    some = f'{json} != "{{}}"'
    yield from statements(json, cache, where=some)
    yield replace(json, *_BARE, where=some)
    changed = f"{json} != {before}"
    for name in (*texts, *(tree for tree in trees if tree != "attributes")):
        # What cannot be read back is dropped.
        yield put(f"{context}.{name}", text("[redacted:record]"), where=f"{changed} and {held[name]} != nil")
    if "attributes" in trees:
        yield f"keep_matching_keys({context}.attributes, {text('^$')}) where {changed}"
    yield put(back, f"ParseJSON({json})", where=changed)
    for name in (*texts, *trees):
        there = f"{back} != nil and {key(back, name)} != nil"
        if name == "attributes":
            yield f'merge_maps({context}.attributes, {key(back, name)}, "upsert") where {there}'
        else:
            yield put(f"{context}.{name}", key(back, name), where=there)


def _group(context: str, lines: Iterable[str], condition: str = "") -> dict[str, Any]:
    asked = {"conditions": [condition]} if condition else {}
    return {"context": context, "error_mode": "ignore", **asked, "statements": list(lines)}


def agent_processor(without: Sequence[str] = ()) -> dict[str, Any]:
    """The `transform` processor of an agent: every body is the text of a line."""
    return {"error_mode": "ignore", "log_statements": _body(without)}


def gateway_processor() -> dict[str, Any]:
    """The `transform` processor of the gateway: bodies, structured or not, attributes of everything, spans and their events."""
    resource = tuple(_whole("resource", trees=("attributes",)))
    return {
        "error_mode": "ignore",
        "log_statements": [
            _group("resource", resource),
            *_body(),
            _group("log", _whole("log", trees=("body", "attributes"))),
        ],
        "trace_statements": [
            _group("resource", resource),
            _group("span", _whole("span", texts=("name", "status.message"), trees=("attributes",))),
            _group("spanevent", _whole("spanevent", texts=("name",), trees=("attributes",))),
        ],
    }


def rule_names() -> tuple[str, ...]:
    """Every rule by name."""
    return (*(rule.name for rule in RULES), CARD)


__all__ = ["CANDIDATES", "CARD", "RULES", "Rule", "agent_processor", "gateway_processor", "rule_names", "statements"]
