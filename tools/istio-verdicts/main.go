// Command istio-verdicts asks Istio and Envoy, offline, who may call whom.
//
//	istio-verdicts build <job> <result>    Istio's own builder makes the listeners; they come out fit for a bare Envoy
//	istio-verdicts ask <requests> <answers>  puts requests to running listeners over kept mTLS connections
//	istio-verdicts mint <job> <result>     makes SPIFFE certificates and signed tokens for the two above
//
// All files are JSON. Istio logs to standard output, so results go to files only. Exit code 1: the machinery failed; 2: the
// job was refused, and the result file holds {"errors": [...]}.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// refusal is a job that says something wrong, every fault in one go.
type refusal []string

func (r refusal) Error() string { return fmt.Sprintf("refused: %d faults", len(r)) }

func run[Job, Result any](jobFile, resultFile string, work func(Job) (Result, error)) error {
	text, err := os.ReadFile(jobFile)
	if err != nil {
		return err
	}
	var job Job
	if err := yaml.UnmarshalStrict(text, &job); err != nil {
		return fmt.Errorf("%s: %w", jobFile, err)
	}
	result, err := work(job)
	var refused refusal
	if errors.As(err, &refused) {
		if err := write(resultFile, map[string][]string{"errors": refused}); err != nil {
			return err
		}
		return refused
	}
	if err != nil {
		return err
	}
	return write(resultFile, result)
}

func write(file string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: istio-verdicts build|ask|mint <input file> <output file>")
		os.Exit(1)
	}
	var err error
	switch os.Args[1] {
	case "build":
		err = run(os.Args[2], os.Args[3], build)
	case "ask":
		err = run(os.Args[2], os.Args[3], ask)
	case "mint":
		err = run(os.Args[2], os.Args[3], mint)
	default:
		err = fmt.Errorf("%s: no such command", os.Args[1])
	}
	var refused refusal
	if errors.As(err, &refused) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "istio-verdicts:", err)
		os.Exit(1)
	}
}
