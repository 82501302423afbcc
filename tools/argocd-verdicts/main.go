// Command argocd-verdicts says what Argo CD's own code permits: one JSON job a line on standard input, one JSON verdict a
// line on standard output. A project that Argo CD refuses, an unknown key or a policy that does not parse is one line on
// standard error and exit code 1.
//
// A job: {"project": AppProject, "application": Application, "resources": [{"group", "kind", "name", "namespaced"}],
// "clusters": [{"name", "server", "project"}], "policy": "csv", "default_role": "", "request": {"subject", "resource",
// "action", "object"}}. Only project and application are needed; clusters matter where the project permits its own only.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/argoproj/argo-cd/v3/assets"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/rbac"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const longestLine = 16 << 20 // bytes

// Resource is one kind of object that the application would apply.
type Resource struct {
	Group      string `json:"group"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Namespaced bool   `json:"namespaced"`
}

// Request is one question to the enforcer of the API server; the subject is a user, a group or a role.
type Request struct {
	Subject  string `json:"subject"`
	Resource string `json:"resource"`
	Action   string `json:"action"`
	Object   string `json:"object"`
}

// Cluster is one that Argo CD knows; one with a project belongs to that project.
type Cluster struct {
	Name    string `json:"name"`
	Server  string `json:"server"`
	Project string `json:"project"`
}

// Job is one line of input.
type Job struct {
	Project     *v1alpha1.AppProject  `json:"project"`
	Application *v1alpha1.Application `json:"application"`
	Resources   []Resource            `json:"resources"`
	Clusters    []Cluster             `json:"clusters"`
	Policy      string                `json:"policy"`
	DefaultRole string                `json:"default_role"`
	Request     *Request              `json:"request"`
}

// Verdict is one line of output; lists are in the order of the job's, RBAC is absent without a request.
type Verdict struct {
	Sources     []bool `json:"sources"`
	Destination bool   `json:"destination"`
	Resources   []bool `json:"resources"`
	RBAC        *bool  `json:"rbac,omitempty"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, strings.ReplaceAll(err.Error(), "\n", " "))
		os.Exit(1)
	}
}

func run(stdin io.Reader, stdout io.Writer) error {
	lines := bufio.NewScanner(stdin)
	lines.Buffer(nil, longestLine)
	answers := json.NewEncoder(stdout)
	for number := 1; lines.Scan(); number++ {
		verdict, err := judge(lines.Text())
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := answers.Encode(verdict); err != nil {
			return err
		}
	}
	return lines.Err()
}

func judge(line string) (*Verdict, error) {
	var job Job
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&job); err != nil {
		return nil, err
	}
	if job.Project == nil || job.Application == nil {
		return nil, errors.New("a job needs project and application")
	}
	if err := job.Project.ValidateProject(); err != nil {
		return nil, fmt.Errorf("project %s: %w", job.Project.Name, err)
	}
	verdict := &Verdict{Sources: []bool{}, Resources: []bool{}}
	for _, source := range job.Application.Spec.GetSources() {
		verdict.Sources = append(verdict.Sources, job.Project.IsSourcePermitted(source))
	}
	var err error
	if verdict.Destination, err = destination(job); err != nil {
		return nil, err
	}
	for _, asked := range job.Resources {
		kind := schema.GroupKind{Group: asked.Group, Kind: asked.Kind}
		permitted := job.Project.IsGroupKindNamePermitted(kind, asked.Name, asked.Namespaced)
		verdict.Resources = append(verdict.Resources, permitted)
	}
	if job.Request != nil {
		allowed, err := enforce(job)
		if err != nil {
			return nil, err
		}
		verdict.RBAC = &allowed
	}
	return verdict, nil
}

// destination asks for the application's cluster: the known one of its name or server, or as the application names it.
func destination(job Job) (bool, error) {
	wanted := job.Application.Spec.Destination
	target := &v1alpha1.Cluster{Name: wanted.Name, Server: wanted.Server}
	for _, known := range job.Clusters {
		if (wanted.Name != "" && known.Name == wanted.Name) || (wanted.Server != "" && known.Server == wanted.Server) {
			target = &v1alpha1.Cluster{Name: known.Name, Server: known.Server}
		}
	}
	own := func(project string) ([]*v1alpha1.Cluster, error) {
		var clusters []*v1alpha1.Cluster
		for _, known := range job.Clusters {
			if known.Project == project {
				clusters = append(clusters, &v1alpha1.Cluster{Name: known.Name, Server: known.Server})
			}
		}
		return clusters, nil
	}
	return job.Project.IsDestinationPermitted(target, wanted.Namespace, own)
}

// enforce asks with the built-in roles, the policy of the job and the project's own roles, as the API server does.
func enforce(job Job) (bool, error) {
	builtin, err := assets.Embedded.ReadFile("builtin-policy.csv")
	if err != nil {
		return false, err
	}
	enforcer := rbac.NewEnforcer(nil, "", "", nil)
	if err := enforcer.SetBuiltinPolicy(string(builtin)); err != nil {
		return false, err
	}
	if err := enforcer.SetUserPolicy(job.Policy); err != nil {
		return false, err
	}
	enforcer.SetDefaultRole(job.DefaultRole)
	roles, asked := job.Project.ProjectPoliciesString(), job.Request
	return enforcer.EnforceRuntimePolicy(
		job.Project.Name, roles, asked.Subject, asked.Resource, asked.Action, asked.Object,
	), nil
}
