package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// workload is who a SPIFFE id stands for.
type workload struct {
	Tenant         string `json:"tenant"`
	ServiceAccount string `json:"service_account"`
}

// configuration is what the program makes of the access graph.
type configuration struct {
	MinimumPriority string              `json:"minimum_priority"`
	HighPriority    string              `json:"high_priority"`
	RiskConfigMap   string              `json:"risk_config_map"`
	RiskFile        string              `json:"risk_file"`
	QuarantineLabel string              `json:"quarantine_label"`
	Path            string              `json:"path"`
	Tenants         []string            `json:"tenants"`
	Workloads       map[string]workload `json:"workloads"`
}

func readConfiguration(file string) (*configuration, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	known := &configuration{}
	if err := decode(bytes.NewReader(text), known); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for name, value := range map[string]string{
		"risk_config_map": known.RiskConfigMap, "risk_file": known.RiskFile, "quarantine_label": known.QuarantineLabel,
	} {
		if value == "" {
			return nil, fmt.Errorf("%s: %s is empty", file, name)
		}
	}
	if !strings.HasPrefix(known.Path, "/") {
		return nil, fmt.Errorf("%s: path %q does not begin with a slash", file, known.Path)
	}
	minimum, high := rank(known.MinimumPriority), rank(known.HighPriority)
	if minimum < 0 || high < minimum {
		return nil, fmt.Errorf("%s: priorities %q and %q are none, or in the wrong order", file, known.MinimumPriority, known.HighPriority)
	}
	tenants := map[string]bool{}
	for _, tenant := range known.Tenants {
		tenants[tenant] = true
	}
	for id, one := range known.Workloads {
		if !strings.HasPrefix(id, scheme) || !tenants[one.Tenant] || one.ServiceAccount == "" {
			return nil, fmt.Errorf("%s: workload %q is no SPIFFE id of a tenant's account", file, id)
		}
	}
	return known, nil
}

// decode reads one JSON value and refuses fields that nobody declared, and whatever follows.
func decode(from io.Reader, into any) error {
	decoder := json.NewDecoder(from)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("more than one value: %w", err)
	}
	return nil
}
