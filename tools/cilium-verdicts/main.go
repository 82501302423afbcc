// Command cilium-verdicts says which flows and DNS lookups a set of policies allows, by the policy engine of the pinned
// Cilium release and without a cluster. It reads a job (YAML or JSON) from the file named, or from stdin, and writes one
// JSON object; what it cannot judge it refuses with the object's name and exit code 1.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// Result has one entry for each question of the job.
type Result struct {
	Flows      map[string]FlowVerdict   `json:"flows"`
	Lookups    map[string]LookupVerdict `json:"lookups"`
	Unenforced []string                 `json:"unenforced"` // policies of nodes, which need the host firewall
	SelfCheck  *SelfCheck               `json:"self_check"`
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	from := stdin
	if len(args) > 1 {
		return fmt.Errorf("usage: cilium-verdicts [job.yaml]")
	}
	if len(args) == 1 {
		file, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		from = file
	}
	job, err := readJob(from)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	if err := setUp(job, log); err != nil {
		return err
	}
	if err := checkKnownDenials(job, log); err != nil {
		return err
	}
	result, err := judge(job, log)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(result)
}

func judge(job *Job, log *slog.Logger) (*Result, error) {
	w, err := newWorld(job, log)
	if err != nil {
		return nil, err
	}
	result := &Result{Flows: map[string]FlowVerdict{}, Lookups: map[string]LookupVerdict{}, Unenforced: w.unenforced()}
	entries := w.simulated()
	if job.SelfCheck {
		result.SelfCheck = &SelfCheck{Differences: []string{}}
	}
	for _, ask := range job.Flows {
		proto, err := protocol(ask.Protocol)
		if err != nil {
			return nil, err
		}
		verdict, err := w.flow(w.parties[ask.From], w.parties[ask.To], proto, ask.Port)
		if err != nil {
			return nil, fmt.Errorf("flow %q: %w", ask.ID, err)
		}
		result.Flows[ask.ID] = verdict
		if job.SelfCheck {
			if err := w.compare(result.SelfCheck, entries, ask, proto, verdict); err != nil {
				return nil, err
			}
		}
	}
	for _, ask := range job.Lookups {
		verdict, err := w.lookup(ask)
		if err != nil {
			return nil, fmt.Errorf("lookup %q: %w", ask.ID, err)
		}
		result.Lookups[ask.ID] = verdict
	}
	return result, nil
}

// render makes a value comparable, for a stable order.
func render(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
