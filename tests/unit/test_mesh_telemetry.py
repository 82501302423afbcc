"""What a line of the access log says of the caller is what the proxy saw, never what the caller wrote."""

import re

from components.mesh.telemetry import access_log_provider

BELIEVING = re.compile(r"%DOWNSTREAM_REMOTE_ADDRESS|%REQ\(X-FORWARDED-FOR|%REQ\(X-TENANT|%REQ\(AUTHORIZATION", re.IGNORECASE)


def test_no_field_says_who_called_by_a_header_of_the_caller():
    labels = access_log_provider()["envoyFileAccessLog"]["logFormat"]["labels"]
    assert [name for name, operator in labels.items() if BELIEVING.search(operator)] == []
    assert labels["source"] == "%DOWNSTREAM_PEER_URI_SAN%"
    assert "DIRECT" in labels["source_address"]
