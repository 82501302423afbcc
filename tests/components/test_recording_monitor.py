import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import resource_cycle_breaker, rpc
from pulumi_aws import s3

from components.base import Component
from tests.support.monitor import DuplicateUrnError, _without_what_a_recording_never_shows, record


class Box(Component, token="zerotrust:test:Box"):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        first = s3.Bucket(f"{name}-a", tags={"k": "v"}, opts=self.child())
        s3.BucketVersioning(f"{name}-v", bucket=first.id, versioning_configuration={"status": "Enabled"}, opts=self.child())
        self.register_outputs({})


def test_a_recording_has_inputs_parents_and_dependencies():
    recording = record(lambda: Box("box"))
    versioning = recording.one("aws:s3/bucketVersioning:BucketVersioning")
    bucket = recording.one("aws:s3/bucket:Bucket")
    assert versioning.inputs == {"bucket": "box-a-id", "versioningConfiguration": {"status": "Enabled"}}
    assert versioning.parent == recording.one("zerotrust:test:Box").urn == bucket.parent
    assert versioning.property_dependencies["bucket"] == {bucket.urn}


def test_a_urn_registered_twice_is_refused():
    def program():
        s3.Bucket("same")
        s3.Bucket("same")

    with pytest.raises(DuplicateUrnError):
        record(program)


def test_a_program_error_reaches_the_test():
    def program():
        msg = "planted"
        raise ValueError(msg)

    with pytest.raises(ValueError, match="planted"):
        record(program)


class Thing:
    """Something that may depend upon another."""


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=30))
def test_a_circle_of_dependencies_is_refused_exactly_where_the_sdk_refuses_it(pairs):
    theirs, ours = [Thing() for _ in range(8)], [Thing() for _ in range(8)]
    wanted = [resource_cycle_breaker.declare_dependency(theirs[one], theirs[other]) for one, other in pairs]
    with _without_what_a_recording_never_shows():
        assert [rpc.declare_dependency(ours[one], ours[other]) for one, other in pairs] == wanted
