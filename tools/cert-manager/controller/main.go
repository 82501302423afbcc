// Command controller issues and renews certificates, by a leader among its replicas: from authorities in secrets, from
// Vault, and self-signed. It has neither ACME nor Venafi, whose client no module proxy of this project's serves, nor the
// controllers that make certificates from annotations: an issuer of those kinds never becomes ready.
package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/zerotrust/program"
	"github.com/spf13/pflag"
	logsapi "k8s.io/component-base/logs/api/v1"

	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/vault"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/metrics"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/vault"
)

// configuration has the release's defaults for what no flag sets.
type configuration struct {
	controller.ContextOptions
	controllers            []string
	workers                int
	metrics, health        string
	elect                  bool
	electIn                string
	lease, deadline, retry time.Duration
	grace                  time.Duration
}

func main() {
	c := &configuration{
		controllers: []string{"*"},
		workers:     5,
		metrics:     "0.0.0.0:9402",
		health:      "0.0.0.0:9403",
		elect:       true,
		electIn:     "kube-system",
		lease:       time.Minute,
		deadline:    40 * time.Second,
		retry:       15 * time.Second,
		grace:       20 * time.Second,
	}
	c.KubernetesAPIQPS, c.KubernetesAPIBurst = 20, 50
	c.ClusterResourceNamespace = "kube-system"
	c.CopiedAnnotationPrefixes = []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"}
	c.CertificateRequestMinimumBackoffDuration, c.CertificateRequestMaximumBackoffDuration = time.Hour, 32*time.Hour
	component := program.Component{
		Name:    "controller",
		Flags:   flags(c),
		Logging: logsapi.NewLoggingConfiguration(),
		Gates:   &map[string]bool{},
		Run:     func(ctx context.Context) error { return run(ctx, c) },
	}
	component.AddCommonFlags()
	component.Main()
}

// flags are those of the release that its chart gives, and what a process outside a cluster needs.
func flags(c *configuration) *pflag.FlagSet {
	set := pflag.NewFlagSet("controller", pflag.ContinueOnError)
	text := func(at *string, name, usage string) { set.StringVar(at, name, *at, usage) }
	duration := func(at *time.Duration, name, usage string) { set.DurationVar(at, name, *at, usage) }
	text(&c.Kubeconfig, "kubeconfig", "Outside a cluster: whose server and credentials to use.")
	text(&c.Namespace, "namespace", "The only namespace to work in; every one when empty.")
	text(&c.ClusterResourceNamespace, "cluster-resource-namespace", "Where a ClusterIssuer's secrets are.")
	text(&c.metrics, "metrics-listen-address", "Address of the metrics.")
	text(&c.health, "internal-healthz-listen-address", "Address of the liveness answers.")
	set.StringSliceVar(&c.controllers, "controllers", c.controllers, "What runs: *, a name, or -name. Known: "+strings.Join(known(), ", "))
	set.IntVar(&c.workers, "concurrent-workers", c.workers, "Workers of each controller.")
	set.BoolVar(&c.EnableOwnerRef, "enable-certificate-owner-ref", c.EnableOwnerRef, "A certificate owns its secret.")
	set.BoolVar(&c.elect, "leader-elect", c.elect, "One replica works at a time.")
	text(&c.electIn, "leader-election-namespace", "Where the lease is.")
	duration(&c.lease, "leader-election-lease-duration", "How long a lease holds.")
	duration(&c.deadline, "leader-election-renew-deadline", "When a leader gives up renewing.")
	duration(&c.retry, "leader-election-retry-period", "Between two attempts to lead.")
	for name, usage := range map[string]string{
		"acme-http01-solver-image":        "Of ACME, which is not built in.",
		"max-concurrent-challenges":       "Of ACME, which is not built in.",
		"dns01-recursive-nameservers":     "Of ACME, which is not built in.",
		"acme-http01-solver-extra-labels": "Of ACME, which is not built in.",
	} {
		set.String(name, "", usage)
	}
	return set
}

func known() []string { return slices.Sorted(maps.Keys(controller.Known())) }

// enabled are the controllers to run: an exclusion wins, and stands for every other where nothing is named.
func enabled(c *configuration) []string {
	named, excluded := map[string]bool{}, map[string]bool{}
	for _, entry := range c.controllers {
		if name, isExclusion := strings.CutPrefix(entry, "-"); isExclusion {
			excluded[name] = true
		} else {
			named[entry] = true
		}
	}
	every := named["*"] || len(named) == 0
	return slices.DeleteFunc(known(), func(name string) bool {
		return excluded[name] || !every && !named[name] || c.Namespace != "" && name == "clusterissuers"
	})
}
