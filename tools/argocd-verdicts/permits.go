package main

import (
	"strings"

	"github.com/argoproj/argo-cd/v3/assets"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/gpg"
	"github.com/argoproj/argo-cd/v3/util/rbac"
)

// destination asks for the application's cluster: the known one of its name or server, or as the application names it.
func (job *Job) destination(project *v1alpha1.AppProject, namespace string) (bool, error) {
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
	return project.IsDestinationPermitted(target, namespace, own)
}

// signed says whether a revision is taken of which git said this. Argo CD's parser reads git's words; that the key must be one of
// the project's is said here once more, for the controller's own function is not exported.
func signed(project *v1alpha1.AppProject, verification string) bool {
	if len(project.Spec.SignatureKeys) == 0 {
		return true
	}
	found := gpg.ParseGitCommitVerification(verification)
	if found.Result != gpg.VerifyResultGood {
		return false
	}
	for _, key := range project.Spec.SignatureKeys {
		if id := gpg.KeyID(key.KeyID); id != "" && id == gpg.KeyID(found.KeyID) {
			return true
		}
	}
	return false
}

// enforce asks with the built-in roles, the policy of the job and the roles of the project that the object names, as the API
// server does.
func (job *Job) enforce() (bool, error) {
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
	asked := job.Request
	object := asked.Object
	if object == "" {
		object = job.Application.RBACName(home)
	}
	name, _, _ := strings.Cut(object, "/")
	roles := ""
	if project := job.project(name); project != nil {
		roles = project.ProjectPoliciesString()
	}
	return enforcer.EnforceRuntimePolicy(name, roles, asked.Subject, asked.Resource, asked.Action, object), nil
}
