package main

import "testing"

func TestARiskOnlyRisesAndIsWrittenInOneForm(t *testing.T) {
	for _, one := range []struct{ before, level, after string }{
		{"{}\n", medium, `{"a":"medium"}` + "\n"},
		{"{}\n", high, `{"a":"high"}` + "\n"},
		{`{"b": "high", "a": "medium"}`, high, `{"a":"high","b":"high"}` + "\n"},
		{`{"b":"low","c":"medium"}`, medium, `{"a":"medium","c":"medium"}` + "\n"},
		{`{"a":"low"}`, medium, `{"a":"medium"}` + "\n"},
	} {
		got, changed, err := raised(one.before, "a", one.level)
		if err != nil || !changed || got != one.after {
			t.Errorf("%s with %s became %q (%t, %v), wanted %q", one.before, one.level, got, changed, err, one.after)
		}
	}
}

func TestARiskThatStandsIsLeftAsItIsWritten(t *testing.T) {
	for before, level := range map[string]string{`{ "a": "high" }`: medium, `{"a":"medium" }`: medium, `{"a":"high"} `: high} {
		if got, changed, err := raised(before, "a", level); got != before || changed || err != nil {
			t.Errorf("%s with %s became %q (%t, %v)", before, level, got, changed, err)
		}
	}
}

func TestRisksThatCannotBeReadAreNotOverwritten(t *testing.T) {
	for _, before := range []string{"", "null", "[]", `{"a": 1}`, `{"a": "grave"}`, `{} {}`, `{"a": "low"`} {
		if got, _, err := raised(before, "a", high); err == nil {
			t.Errorf("%q became %q", before, got)
		}
	}
}
