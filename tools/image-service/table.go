package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// table says which archive answers for which repository.
type table struct {
	Patterns []pattern `json:"patterns"`
}

// pattern is one row: a repository without tag or digest, `*` standing for any characters, and the path of its archive.
type pattern struct {
	Repository string `json:"repository"`
	Archive    string `json:"archive"`
}

func readTable(path string) (*table, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	read := &table{}
	if err := json.Unmarshal(data, read); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return read, nil
}

// archive is that of the first pattern that one of the repository's names fits; empty when none does.
func (t *table) archive(names ...string) string {
	for _, row := range t.Patterns {
		for _, name := range names {
			if fits(row.Repository, name) {
				return row.Archive
			}
		}
	}
	return ""
}

// fits tells whether a name is the pattern, with any characters for each `*`.
func fits(pattern, name string) bool {
	first, rest, more := strings.Cut(pattern, "*")
	if !more {
		return pattern == name
	}
	if !strings.HasPrefix(name, first) {
		return false
	}
	for tail := name[len(first):]; ; tail = tail[1:] {
		if fits(rest, tail) {
			return true
		}
		if tail == "" {
			return false
		}
	}
}
