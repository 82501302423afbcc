"""The checks that most rules are made of. Each yields findings and reads one property."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from policy.model import CouldNotRun, Finding, Findings, Params, Resource, Stack, Violation
from policy.values import UNKNOWN, is_false, is_set, is_true, number


def check(resource: Resource, path: str, accepts: Callable[[Any], bool], problem: str) -> Findings:
    """A violation unless ``accepts`` the known value."""
    value = resource.get(path)
    if value is UNKNOWN:
        yield CouldNotRun(path=path, urn=resource.urn)
    elif not accepts(value):
        yield Violation(path=path, problem=problem, urn=resource.urn)


def require_true(resource: Resource, path: str, problem: str) -> Findings:
    """The property is given and true."""
    yield from check(resource, path, is_true, problem)


def forbid_true(resource: Resource, path: str, problem: str) -> Findings:
    """The property is absent or false."""
    yield from check(resource, path, lambda value: value is None or is_false(value), problem)


def forbid_false(resource: Resource, path: str, problem: str) -> Findings:
    """The property is absent or true."""
    yield from check(resource, path, lambda value: value is None or is_true(value), problem)


def require_set(resource: Resource, path: str, problem: str) -> Findings:
    """Something is given; a reference that is not known yet counts."""
    if not is_set(resource.get(path)):
        yield Violation(path=path, problem=problem, urn=resource.urn)


def forbid_set(resource: Resource, path: str, problem: str) -> Findings:
    """Nothing is given; a value that is not known yet is something."""
    if is_set(resource.get(path)):
        yield Violation(path=path, problem=problem, urn=resource.urn)


def require_one_of(resource: Resource, path: str, allowed: Sequence[str], problem: str) -> Findings:
    """The property is given and on the list."""
    yield from check(resource, path, lambda value: isinstance(value, str) and value in allowed, problem)


def require_all_of(resource: Resource, path: str, wanted: Iterable[str], problem: str) -> Findings:
    """The list holds every wanted member. Members that are unknown may be the missing ones."""
    value = resource.get(path)
    if value is UNKNOWN:
        yield CouldNotRun(path=path, urn=resource.urn)
        return
    members = value if isinstance(value, list) else []
    missing = sorted(one for one in wanted if one not in [m for m in members if isinstance(m, str)])
    unknown = sum(member is UNKNOWN for member in members)
    if len(missing) > unknown:
        yield Violation(path=path, problem=f"{problem} (missing: {', '.join(missing)})", urn=resource.urn)
    elif missing:
        yield CouldNotRun(path=path, urn=resource.urn)


def require_at_least(resource: Resource, path: str, least: float, problem: str) -> Findings:
    """The property is a number not below ``least``."""
    yield from check(resource, path, lambda value: (number(value) or 0.0) >= least, problem)


def tag(resource: Resource, key: str) -> Any:
    """The value of a tag, from the resource's own tags or those merged with the provider's."""
    own = resource.get("tags")
    merged = resource.get("tagsAll")
    for tags in (own, merged):
        if isinstance(tags, dict) and tags.get(key) is not None:
            return tags[key]
    return UNKNOWN if UNKNOWN in (own, merged) else None


def strings(params: Params, key: str) -> tuple[str, ...]:
    """A parameter that is a list of strings."""
    value = params.get(key)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()


def covered(
    stack: Stack,
    target: Resource,
    sources: Sequence[Resource],
    key: str,
    problem: str,
) -> tuple[list[Resource], list[Finding]]:
    """The sources that refer to ``target``, and what to report where none does."""
    answers = [(source, stack.refers(source, key, target)) for source in sources]
    found = [source for source, refers in answers if refers]
    if found:
        return found, []
    undecided = [source for source, refers in answers if refers is None]
    if undecided:
        return [], [CouldNotRun(path=key, urn=source.urn) for source in undecided]
    return [], [Violation(path=target.type.rsplit(":", maxsplit=1)[-1], problem=problem, urn=target.urn)]


def best(attempts: Sequence[list[Finding]]) -> list[Finding]:
    """One clean attempt is enough; else the one nearest to it, known violations counting before unknowns."""

    def distance(found: list[Finding]) -> tuple[int, int]:
        return sum(isinstance(one, Violation) for one in found), len(found)

    return min(attempts, key=distance, default=[])
