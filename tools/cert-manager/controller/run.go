package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/pkg/healthz"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const (
	lease         = "cert-manager-controller"
	goodbyeWithin = 5 * time.Second
)

var errDeposed = errors.New("another replica leads")

// run serves metrics and liveness at once and starts the controllers when this replica leads; it ends with the first that fails.
func run(ctx context.Context, c *configuration) error {
	group, ctx := errgroup.WithContext(ctx)
	factory, err := controller.NewContextFactory(ctx, c.ContextOptions)
	if err != nil {
		return err
	}
	shared, err := factory.Build()
	if err != nil {
		return err
	}
	certificates, issuers := shared.SharedInformerFactory.Certmanager().V1(), shared.SharedInformerFactory.Certmanager().V1().Issuers()
	shared.Metrics.SetupCertificateCollector(certificates.Certificates().Lister())
	shared.Metrics.SetupIssuerCollector(issuers.Lister())
	if c.Namespace == "" {
		shared.Metrics.SetupClusterIssuerCollector(certificates.ClusterIssuers().Lister())
	}
	metrics, err := listen(ctx, c.metrics)
	if err != nil {
		return err
	}
	server := shared.Metrics.NewServer(metrics)
	group.Go(func() error { return ignoring(server.Serve(metrics), http.ErrServerClosed) })
	group.Go(func() error {
		<-ctx.Done()
		goodbye, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeWithin)
		defer cancel()
		return server.Shutdown(goodbye)
	})
	health, err := listen(ctx, c.health)
	if err != nil {
		return err
	}
	liveness := healthz.NewServer(c.grace)
	group.Go(func() error { return liveness.Start(ctx, health) })
	if !c.elect {
		if err := begin(ctx, group, c, factory, shared); err != nil {
			return err
		}
		return group.Wait()
	}
	elector, err := election(ctx, c, factory, liveness.LeaderHealthzAdaptor, func() error { return begin(ctx, group, c, factory, shared) }, group)
	if err != nil {
		return err
	}
	group.Go(func() error {
		elector.Run(ctx)
		if ctx.Err() == nil {
			return errDeposed
		}
		return nil
	})
	return group.Wait()
}

// begin starts the enabled controllers and then what they watch.
func begin(ctx context.Context, group *errgroup.Group, c *configuration, factory *controller.ContextFactory, shared *controller.Context) error {
	names := enabled(c)
	logf.FromContext(ctx).Info("controllers", "enabled", names)
	for _, name := range names {
		made, err := controller.Known()[name](factory)
		if err != nil {
			return fmt.Errorf("controller %s: %w", name, err)
		}
		group.Go(func() error { return made.Run(c.workers, ctx) })
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	shared.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	return nil
}

func election(
	ctx context.Context, c *configuration, factory *controller.ContextFactory,
	watchdog *leaderelection.HealthzAdaptor, lead func() error, group *errgroup.Group,
) (*leaderelection.LeaderElector, error) {
	own, err := factory.Build("leader-election")
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	lock, err := resourcelock.NewWithLabels(
		resourcelock.LeasesResourceLock, c.electIn, lease, own.Client.CoreV1(), own.Client.CoordinationV1(),
		resourcelock.ResourceLockConfig{Identity: host, EventRecorder: own.Recorder},
		map[string]string{"app.kubernetes.io/managed-by": "cert-manager"},
	)
	if err != nil {
		return nil, err
	}
	return leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            lock,
		LeaseDuration:   c.lease,
		RenewDeadline:   c.deadline,
		RetryPeriod:     c.retry,
		ReleaseOnCancel: true,
		WatchDog:        watchdog,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { group.Go(lead) },
			OnStoppedLeading: func() { logf.FromContext(ctx).Info("no longer leads") },
		},
	})
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", address)
}

func ignoring(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
