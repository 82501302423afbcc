package main

import (
	"strings"
	"time"
)

const (
	scheme      = "spiffe://"
	fieldID     = "spiffe_id"
	fieldPod    = "k8s.pod.name"
	fieldTenant = "k8s.ns.name"
)

// priorities are Falco's, from the least on.
var priorities = []string{"debug", "informational", "notice", "warning", "error", "critical", "alert", "emergency"}

// event is Falcosidekick's JSON (types.FalcoPayload of release 2.34).
type event struct {
	UUID         string         `json:"uuid"`
	Output       string         `json:"output"`
	Priority     string         `json:"priority"`
	Rule         string         `json:"rule"`
	Time         time.Time      `json:"time"`
	Source       string         `json:"source"`
	OutputFields map[string]any `json:"output_fields"`
	Hostname     string         `json:"hostname"`
	Tags         []string       `json:"tags"`
}

// field is a text of the event's fields; empty where it has none of that name, or another kind of value.
func (e *event) field(name string) string {
	value, _ := e.OutputFields[name].(string)
	return value
}

// rank is a priority's place; below zero where Falco has no such priority.
func rank(priority string) int {
	for place, name := range priorities {
		if strings.EqualFold(name, priority) {
			return place
		}
	}
	return -1
}

// level is the risk that an event of a priority puts its workload at; empty below the least priority.
func (c *configuration) level(priority string) string {
	switch place := rank(priority); {
	case place >= rank(c.HighPriority):
		return high
	case place >= rank(c.MinimumPriority):
		return medium
	}
	return ""
}
