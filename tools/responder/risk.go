package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

const (
	low    = "low"
	medium = "medium"
	high   = "high"
)

var order = map[string]int{low: 0, medium: 1, high: 2}

// raised is the text of the risks with one of them at least at a level, and whether that changes anything.
// It is written in one form, sorted, without what is low: admission holds it to that.
func raised(text, who, level string) (string, bool, error) {
	risks := map[string]string{}
	if err := decode(strings.NewReader(text), &risks); err != nil {
		return "", false, fmt.Errorf("the risks cannot be read: %w", err)
	}
	if risks == nil {
		return "", false, errors.New("the risks are null")
	}
	for name, said := range risks {
		place, known := order[said]
		if !known {
			return "", false, fmt.Errorf("the risk of %s is %q, which is no level", name, said)
		}
		if place == 0 {
			delete(risks, name)
		}
	}
	if order[risks[who]] >= order[level] {
		return text, false, nil
	}
	risks[who] = level
	made, err := json.Marshal(risks)
	return string(made) + "\n", true, err
}
