// Command cainjector writes the authority of a webhook's, an API service's or a kind's server where the API server looks for it.
package main

import (
	"context"
	"flag"

	config "github.com/cert-manager/cert-manager/internal/apis/config/cainjector"
	"github.com/cert-manager/cert-manager/internal/apis/config/cainjector/scheme"
	"github.com/cert-manager/cert-manager/internal/apis/config/cainjector/validation"
	"github.com/cert-manager/cert-manager/pkg/api"
	"github.com/cert-manager/cert-manager/pkg/apis/config/cainjector/v1alpha1"
	"github.com/cert-manager/cert-manager/pkg/controller/cainjector"
	"github.com/cert-manager/cert-manager/pkg/util"
	"github.com/cert-manager/cert-manager/zerotrust/program"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kubernetes "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	controllerruntime "sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const lease = "cert-manager-cainjector-leader-election"

func main() {
	configuration, err := defaulted()
	if err != nil {
		panic(err) // the defaults are the library's own
	}
	component := program.Component{
		Name:     "cainjector",
		Flags:    flags(configuration),
		Logging:  &configuration.Logging,
		Gates:    &configuration.FeatureGates,
		Validate: func() field.ErrorList { return validation.ValidateCAInjectorConfiguration(configuration, nil) },
		Run:      func(ctx context.Context) error { return run(ctx, configuration) },
	}
	component.AddCommonFlags()
	component.Main()
}

func defaulted() (*config.CAInjectorConfiguration, error) {
	kinds, _, err := scheme.NewSchemeAndCodecs()
	if err != nil {
		return nil, err
	}
	versioned, configuration := &v1alpha1.CAInjectorConfiguration{}, &config.CAInjectorConfiguration{}
	kinds.Default(versioned)
	return configuration, kinds.Convert(versioned, configuration, nil)
}

// flags are those of the release that its chart gives, and what a process outside a cluster needs.
func flags(c *config.CAInjectorConfiguration) *pflag.FlagSet {
	set := pflag.NewFlagSet("cainjector", pflag.ContinueOnError)
	election := &c.LeaderElectionConfig
	set.StringVar(&c.Namespace, "namespace", c.Namespace, "The only namespace to take authorities from; every one when empty.")
	set.StringVar(&c.MetricsListenAddress, "metrics-listen-address", c.MetricsListenAddress, "Address of the metrics; 0 for none.")
	set.BoolVar(&election.Enabled, "leader-elect", election.Enabled, "One replica works at a time.")
	set.StringVar(&election.Namespace, "leader-election-namespace", election.Namespace, "Where the lease is.")
	set.DurationVar(&election.LeaseDuration, "leader-election-lease-duration", election.LeaseDuration, "How long a lease holds.")
	set.DurationVar(&election.RenewDeadline, "leader-election-renew-deadline", election.RenewDeadline, "When a leader gives up renewing.")
	set.DurationVar(&election.RetryPeriod, "leader-election-retry-period", election.RetryPeriod, "Between two attempts to lead.")
	var connection flag.FlagSet
	controllerruntime.RegisterFlags(&connection) // --kubeconfig
	connection.VisitAll(func(one *flag.Flag) { set.AddGoFlag(one) })
	return set
}

func run(ctx context.Context, c *config.CAInjectorConfiguration) error {
	kinds := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		kubernetes.AddToScheme, api.AddToScheme, apiextensions.AddToScheme, apiregistration.AddToScheme,
	} {
		if err := add(kinds); err != nil {
			return err
		}
	}
	ctrl.SetLogger(klog.Background())
	connection, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	// what it writes is owned under the name that a request gives itself
	connection = util.RestConfigWithUserAgent(connection, "cainjector")
	var namespaces map[string]cache.Config
	if c.Namespace != "" {
		namespaces = map[string]cache.Config{c.Namespace: {}}
	}
	manager, err := ctrl.NewManager(connection, ctrl.Options{
		Scheme: kinds,
		Cache:  cache.Options{ReaderFailOnMissingInformer: true, DefaultNamespaces: namespaces},
		// secrets are read one by one: a cache would hold every secret of the cluster
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
		Metrics:                       server.Options{BindAddress: c.MetricsListenAddress},
		LeaderElection:                c.LeaderElectionConfig.Enabled,
		LeaderElectionNamespace:       c.LeaderElectionConfig.Namespace,
		LeaderElectionID:              lease,
		LeaderElectionResourceLock:    resourcelock.LeasesResourceLock,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &c.LeaderElectionConfig.LeaseDuration,
		RenewDeadline:                 &c.LeaderElectionConfig.RenewDeadline,
		RetryPeriod:                   &c.LeaderElectionConfig.RetryPeriod,
	})
	if err != nil {
		return err
	}
	into := c.EnableInjectableConfig
	err = cainjector.RegisterAllInjectors(ctx, manager, cainjector.SetupOptions{
		Namespace:                    c.Namespace,
		IgnoreNamespaces:             c.IgnoreNamespaces,
		EnableCertificatesDataSource: c.EnableDataSourceConfig.Certificates,
		EnabledReconcilersFor: map[string]bool{
			cainjector.MutatingWebhookConfigurationName:   into.MutatingWebhookConfigurations,
			cainjector.ValidatingWebhookConfigurationName: into.ValidatingWebhookConfigurations,
			cainjector.APIServiceName:                     into.APIServices,
			cainjector.CustomResourceDefinitionName:       into.CustomResourceDefinitions,
		},
	})
	if err != nil {
		return err
	}
	return manager.Start(ctx)
}
