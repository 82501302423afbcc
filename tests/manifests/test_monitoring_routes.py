"""Alertmanager's configuration as amtool reads it: accepted for every choice of receivers; each alert goes where it should."""

import itertools

import pytest

from components.observability.alert_routing import SECRETS_DIRECTORY, Delivery, alertmanager_config, alertmanager_values
from components.settings.observability import AlertSettings
from sandbox.amtool import check_config, receivers_of

CHOICES = [
    AlertSettings(pagerduty=pager, slack_channel=channel, deadman_host=host)
    for pager, channel, host in itertools.product((False, True), (None, "#platform"), (None, "hc.outside.example"))
]
ALL = CHOICES[-1]


def config(settings: AlertSettings):
    return alertmanager_config(settings, environment="prod", region="eu-west-1")


@pytest.mark.parametrize(
    "settings", CHOICES, ids=lambda one: "-".join(key for key, value in one.model_dump().items() if value) or "none"
)
def test_alertmanager_accepts_every_choice_of_receivers(settings):
    good, said = check_config(config(settings))
    assert good, said


def test_a_configuration_with_an_unknown_receiver_is_refused():
    wrong = config(ALL)
    wrong["route"] = {**wrong["route"], "receiver": "somebody"}
    assert not check_config(wrong)[0]


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"alertname": "SpireServerDown", "severity": "page"}, ["pager", "channel"]),
        ({"alertname": "CpuThrottled", "severity": "ticket"}, ["channel"]),
        ({"alertname": "Watchdog", "severity": "ticket"}, ["deadman"]),
        ({"alertname": "Unknown", "severity": "info"}, ["nobody"]),
    ],
)
def test_a_page_wakes_a_ticket_waits_and_the_watchdog_goes_outside(labels, receivers):
    assert receivers_of(config(ALL), labels) == receivers


def test_without_a_receiver_outside_the_watchdog_disturbs_nobody():
    quiet = AlertSettings(pagerduty=True, slack_channel="#platform")
    assert receivers_of(config(quiet), {"alertname": "Watchdog", "severity": "ticket"}) == ["nobody"]


def test_no_key_stands_in_the_configuration_each_is_a_file_of_the_secrets_agent():
    found = []
    for receiver in config(ALL)["receivers"]:
        for kind, configs in receiver.items():
            if kind != "name":
                found += [(key, value) for one in configs for key, value in one.items() if "url" in key or "key" in key]
    assert sorted(found) == [
        ("api_url_file", f"{SECRETS_DIRECTORY}/slack"),
        ("routing_key_file", f"{SECRETS_DIRECTORY}/pagerduty"),
        ("url_file", f"{SECRETS_DIRECTORY}/deadman"),
    ]


def test_receivers_whose_keys_nobody_delivers_are_refused():
    where = {"environment": "prod", "region": "eu-west-1", "storage_class": "encrypted"}
    with pytest.raises(ValueError, match=r"observability\.alerts"):
        alertmanager_values(ALL, None, **where)
    assert alertmanager_values(AlertSettings(), None, **where)["config"]["receivers"] == [{"name": "nobody"}]
    assert alertmanager_values(ALL, Delivery(), **where)["alertmanagerSpec"]["replicas"] == 3
