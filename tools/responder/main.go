// The responder takes runtime events that Falcosidekick posts, raises the risk of the workload that an event names, in the
// object that every tenant's authorizers read, and labels the pod for quarantine where the risk is high. It never lowers a risk
// and takes no label away: both are people's to do.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// An event costs two requests for each tenant; client-go's own default would take a minute for a hundred tenants.
	requestsPerSecond = 100
	requestsAtOnce    = 200
	apiPatience       = 10 * time.Second
	shutdownPatience  = 30 * time.Second
)

func main() {
	file := flag.String("configuration", "", "file of the workloads, tenants and priorities")
	listen := flag.String("listen", ":8080", "address to listen on")
	kubeconfig := flag.String("kubeconfig", "", "file of the API server's address and credentials; inside a cluster, none")
	flag.Parse()
	slog.SetDefault(newLog(os.Stdout))
	if err := run(*file, *listen, *kubeconfig); err != nil {
		slog.Error(err.Error(), "event.action", "end", "event.outcome", "failure")
		os.Exit(1)
	}
}

func run(file, listen, kubeconfig string) error {
	known, err := readConfiguration(file)
	if err != nil {
		return err
	}
	client, err := connect(kubeconfig)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	server := &http.Server{
		Addr:              listen,
		Handler:           newServer(known, client, registry),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      eventPatience + 10*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    1 << 14,
	}
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	slog.Info("listening", "event.action", "start", "tenants", len(known.Tenants), "workloads", len(known.Workloads))
	select {
	case err := <-failed:
		return err
	case <-ended.Done():
	}
	patience, done := context.WithTimeout(context.Background(), shutdownPatience)
	defer done()
	if err := server.Shutdown(patience); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func connect(kubeconfig string) (v1.CoreV1Interface, error) {
	access, err := rest.InClusterConfig()
	if kubeconfig != "" {
		access, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	}
	if err != nil {
		return nil, err
	}
	access.UserAgent, access.Timeout = "risk-responder", apiPatience
	access.QPS, access.Burst = requestsPerSecond, requestsAtOnce
	return v1.NewForConfig(access)
}

// newLog writes one JSON object a line, with the audit schema's names.
func newLog(to *os.File) *slog.Logger {
	names := map[string]string{slog.TimeKey: "@timestamp", slog.LevelKey: "log.level", slog.MessageKey: "message"}
	replace := func(groups []string, one slog.Attr) slog.Attr {
		if name, ok := names[one.Key]; ok && len(groups) == 0 {
			one.Key = name
		}
		return one
	}
	return slog.New(slog.NewJSONHandler(to, &slog.HandlerOptions{ReplaceAttr: replace})).With("event.dataset", "risk.response")
}
