"""The resolver of a local region answers as a resolver does; asked over UDP on loopback.

Not proven: that CoreDNS forwards to it."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.local.dns import AAAA, CNAME, A, Names, Resolver, ask, encoded, question, reply

TXT = 16
NO_NAME, MALFORMED, NOT_DONE = 3, 1, 4


def asked(name: str, kind: int = A, number: int = 7, flags: int = 0x0100) -> bytes:
    return struct.pack("!6H", number, flags, 1, 0, 0, 0) + encoded(name) + struct.pack("!2H", kind, 1)


def read(answer: bytes) -> tuple[int, list[tuple[int, bytes]]]:
    """The code and the type and data of each record."""
    _, flags, questions, answers, _, _ = struct.unpack_from("!6H", answer)
    at = 12
    if questions:
        at = question(answer).end
    found = []
    for _ in range(answers):
        while answer[at]:
            at += answer[at] + 1
        kind, _, _, size = struct.unpack_from("!2HIH", answer, at + 1)
        found.append((kind, answer[at + 11 : at + 11 + size]))
        at += 11 + size
    assert at == len(answer)
    return flags & 0xF, found


@pytest.fixture
def names() -> Names:
    known = Names()
    known.tell(
        "zone",
        {"Vault.Local.Example.": ("10.1.2.3", "10.1.2.4"), "www.local.example": ("vault.local.example",), "loop": ("loop",)},
    )
    return known


def test_a_known_name_has_its_addresses_in_any_case_of_letters(names):
    code, records = read(reply(asked("vault.LOCAL.example"), names) or b"")
    assert (code, records) == (0, [(A, socket.inet_aton("10.1.2.3")), (A, socket.inet_aton("10.1.2.4"))])


def test_another_name_leads_on_to_the_addresses(names):
    code, records = read(reply(asked("www.local.example"), names) or b"")
    assert code == 0
    assert [kind for kind, _ in records] == [CNAME, A, A]
    assert records[0][1] == encoded("vault.local.example")


def test_a_name_that_nobody_said_does_not_exist(names):
    assert read(reply(asked("example.org"), names) or b"") == (NO_NAME, [])


@pytest.mark.parametrize("kind", [AAAA, TXT])
def test_a_known_name_without_records_of_a_type_exists_all_the_same(names, kind):
    assert read(reply(asked("vault.local.example", kind), names) or b"") == (0, [])


def test_names_in_a_circle_end(names):
    code, records = read(reply(asked("loop"), names) or b"")
    assert code == 0
    assert {kind for kind, _ in records} == {CNAME}


def test_what_a_source_no_longer_says_is_gone(names):
    names.tell("other", {"vault.local.example": ("10.9.9.9",)})
    assert names.targets("vault.local.example") == ("10.9.9.9",)  # sources in the order of their names
    names.tell("other", {})
    assert names.targets("vault.local.example") == ("10.1.2.3", "10.1.2.4")
    names.tell("zone", {})
    assert read(reply(asked("vault.local.example"), names) or b"")[0] == NO_NAME


def test_the_answer_repeats_number_and_question(names):
    message = asked("vault.local.example", number=0xBEEF)
    answer = reply(message, names) or b""
    assert answer[:2] == b"\xbe\xef"
    assert answer[12 : question(message).end] == message[12:]


def test_an_answer_is_not_answered(names):
    assert reply(asked("vault.local.example", flags=0x8000), names) is None


def test_what_is_no_query_is_refused(names):
    assert read(reply(asked("vault.local.example", flags=0x2800), names) or b"")[0] == NOT_DONE
    assert read(reply(asked("vault.local.example")[:20], names) or b"")[0] == MALFORMED


@given(st.binary(max_size=80))
def test_no_message_ends_the_resolver(message):
    answer = reply(message, Names())
    assert answer is None or len(answer) >= 12


def test_it_answers_over_the_network_until_it_is_ended(names):
    with Resolver(names, "127.0.0.1", 0) as resolver:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"\x01", ("127.0.0.1", resolver.port))
        addresses = ("10.1.2.3", "10.1.2.4")
        known = ("vault.local.example", "www.local.example", "example.org")
        found = [ask("127.0.0.1", name, port=resolver.port, seconds=10) for name in known]
        assert found == [addresses, addresses, ()]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", resolver.port))
        with pytest.raises(TimeoutError):
            ask("127.0.0.1", "vault.local.example", port=resolver.port, seconds=0.05)
