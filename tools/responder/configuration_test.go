package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAConfigurationThatIsWrongDoesNotLoad(t *testing.T) {
	text, err := json.Marshal(known)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"as it is":        {"", ""},
		"unknown key":     {`"path"`, `"way"`},
		"path":            {`"/events"`, `"events"`},
		"no file":         {`"risk.json"`, `""`},
		"priority":        {`"warning"`, `"grave"`},
		"order":           {`"error"`, `"notice"`},
		"nobody's tenant": {`["bank-a",`, `["bank-c",`},
		"no id":           {scheme, ""},
	} {
		file := filepath.Join(t.TempDir(), "configuration.json")
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), change[0], change[1], 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readConfiguration(file); (err == nil) != (name == "as it is") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
