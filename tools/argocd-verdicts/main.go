// Command argocd-verdicts says what Argo CD's own code permits: one JSON job a line on standard input, one JSON verdict a
// line on standard output. A project that Argo CD refuses, an unknown key or a policy that does not parse is one line on
// standard error and exit code 1.
//
// A job: {"projects": [AppProject], "application": Application, "namespaces": ["bank-a"], "resources": [{"group", "kind", "name",
// "namespace", "namespaced"}], "clusters": [{"name", "server", "project"}], "verification": "git's words", "policy": "csv",
// "default_role": "", "request": {"subject", "resource", "action", "object"}}. Only projects and application are needed; the
// application picks its project by name, as in a cluster. Clusters matter where a project permits its own only.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/security"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	longestLine = 16 << 20 // bytes
	home        = "argocd" // namespace of Argo CD
)

// Resource is one kind of object that the application would apply; without a namespace it goes where the application goes.
type Resource struct {
	Group      string `json:"group"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Namespace  string `json:"namespace"`
	Namespaced bool   `json:"namespaced"`
}

// Request is one question to the enforcer of the API server; the subject is a user, a group or a role. Without an object it is
// about the application.
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
	Projects     []*v1alpha1.AppProject `json:"projects"`
	Application  *v1alpha1.Application  `json:"application"`
	Namespaces   []string               `json:"namespaces"`
	Resources    []Resource             `json:"resources"`
	Clusters     []Cluster              `json:"clusters"`
	Verification *string                `json:"verification"`
	Policy       string                 `json:"policy"`
	DefaultRole  string                 `json:"default_role"`
	Request      *Request               `json:"request"`
}

// Verdict is one line of output. Refused says why the application is in no project, and nothing else is judged then but the
// request; lists are in the order of the job's; Signed and RBAC are absent where nothing was asked.
type Verdict struct {
	Refused     string `json:"refused"`
	Sources     []bool `json:"sources"`
	Destination bool   `json:"destination"`
	Resources   []bool `json:"resources"`
	Signed      *bool  `json:"signed,omitempty"`
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
	if len(job.Projects) == 0 || job.Application == nil {
		return nil, errors.New("a job needs projects and application")
	}
	for _, one := range job.Projects {
		if err := one.ValidateProject(); err != nil {
			return nil, fmt.Errorf("project %s: %w", one.Name, err)
		}
	}
	verdict := &Verdict{Sources: []bool{}, Resources: []bool{}}
	if job.Request != nil {
		allowed, err := job.enforce()
		if err != nil {
			return nil, err
		}
		verdict.RBAC = &allowed
	}
	project := job.project(job.Application.Spec.GetProject())
	if verdict.Refused = job.refusal(project); verdict.Refused != "" {
		return verdict, nil
	}
	for _, source := range job.Application.Spec.GetSources() {
		verdict.Sources = append(verdict.Sources, project.IsSourcePermitted(source))
	}
	into := job.Application.Spec.Destination.Namespace
	var err error
	if verdict.Destination, err = job.destination(project, into); err != nil {
		return nil, err
	}
	for _, asked := range job.Resources {
		kind := schema.GroupKind{Group: asked.Group, Kind: asked.Kind}
		permitted := project.IsGroupKindNamePermitted(kind, asked.Name, asked.Namespaced)
		if asked.Namespaced && asked.Namespace != "" {
			there, err := job.destination(project, asked.Namespace)
			if err != nil {
				return nil, err
			}
			permitted = permitted && there
		}
		verdict.Resources = append(verdict.Resources, permitted)
	}
	if job.Verification != nil {
		taken := signed(project, *job.Verification)
		verdict.Signed = &taken
	}
	return verdict, nil
}

// refusal says why the application is not looked at, or is not in the project that it names; empty when it is.
func (job *Job) refusal(project *v1alpha1.AppProject) string {
	app := job.Application
	if !security.IsNamespaceEnabled(app.Namespace, home, job.Namespaces) {
		return security.NamespaceNotPermittedError(app.Namespace).Error()
	}
	if project == nil {
		return fmt.Sprintf("there is no project '%s'", app.Spec.GetProject())
	}
	if !project.IsAppNamespacePermitted(app, home) {
		return fmt.Sprintf("project '%s' takes no application of namespace '%s'", project.Name, app.Namespace)
	}
	return ""
}

func (job *Job) project(name string) *v1alpha1.AppProject {
	for _, one := range job.Projects {
		if one.Name == name {
			return one
		}
	}
	return nil
}
