package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/kubernetes/typed/core/v1"
)

const (
	largestEvent = 256 << 10
	eventsAtOnce = 4
)

// server answers Falcosidekick, the kubelet and the agent that fetches metrics.
type server struct {
	responder
	slots       chan struct{}
	events      *prometheus.CounterVec
	raises      *prometheus.CounterVec
	quarantines *prometheus.CounterVec
}

func newServer(known *configuration, client v1.CoreV1Interface, registry *prometheus.Registry) http.Handler {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		made := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "zerotrust_responder", Name: name, Help: help}, labels)
		registry.MustRegister(made)
		return made
	}
	s := &server{
		responder:   responder{known: known, client: client},
		slots:       make(chan struct{}, eventsAtOnce),
		events:      counter("events_total", "Events by what became of them.", "outcome"),
		raises:      counter("risks_raised_total", "Risks that rose, by workload and level.", "tenant", "workload", "level"),
		quarantines: counter("quarantines_total", "Pods of workloads at high risk, by what became of them.", "tenant", "workload", "outcome"),
	}
	for _, outcome := range []string{acted, below, malformed, nobody, failed} {
		s.events.WithLabelValues(outcome)
	}
	routes := http.NewServeMux()
	routes.HandleFunc("POST "+known.Path, s.take)
	routes.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	routes.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return routes
}

// What becomes of an event.
const (
	acted     = "acted"
	below     = "below"
	malformed = "malformed"
	nobody    = "nobody"
	failed    = "failed"
)

// take answers 204 to what was done or is nobody's to do; Falcosidekick counts every other answer as a failed output, which is
// an alert, and does not try again.
func (s *server) take(answer http.ResponseWriter, request *http.Request) {
	one := &event{}
	if err := decode(http.MaxBytesReader(answer, request.Body, largestEvent), one); err != nil {
		status := http.StatusBadRequest
		if large := new(http.MaxBytesError); errors.As(err, &large) {
			status = http.StatusRequestEntityTooLarge
		}
		s.end(answer, status, malformed, slog.LevelWarn, err.Error())
		return
	}
	id := one.field(fieldID)
	about := []any{"event.id", one.UUID, "event.reason", one.Rule, "event.severity", one.Priority, "zerotrust.target.spiffe_id", id}
	if rank(one.Priority) < 0 {
		s.end(answer, http.StatusUnprocessableEntity, malformed, slog.LevelWarn, "an event without a priority of Falco's", about...)
		return
	}
	level := s.known.level(one.Priority)
	if level == "" {
		s.end(answer, http.StatusNoContent, below, slog.LevelInfo, "an event of a lesser priority", about...)
		return
	}
	if id == "" {
		s.end(answer, http.StatusUnprocessableEntity, malformed, slog.LevelWarn, "an event without a SPIFFE id", about...)
		return
	}
	target, known := s.known.Workloads[id]
	if !known {
		s.end(answer, http.StatusNoContent, nobody, slog.LevelInfo, "an event of no workload of a tenant", about...)
		return
	}
	ctx, done := context.WithTimeout(request.Context(), eventPatience)
	defer done()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		s.end(answer, http.StatusServiceUnavailable, failed, slog.LevelError, "too many events at once", about...)
		return
	}
	pod := one.field(fieldPod)
	about = append(about, "zerotrust.tenant", target.Tenant, "orchestrator.namespace", target.Tenant,
		"orchestrator.resource.name", pod, "zerotrust.risk", level)
	err := s.act(ctx, id, target, level, one.field(fieldTenant), pod, &about)
	if err != nil {
		s.end(answer, http.StatusInternalServerError, failed, slog.LevelError, err.Error(), about...)
		return
	}
	s.end(answer, http.StatusNoContent, acted, slog.LevelWarn, "the risk of a workload was raised", about...)
}

// act does both, whichever of them fails.
func (s *server) act(ctx context.Context, id string, target workload, level, namespace, pod string, about *[]any) error {
	var isolated error
	if level == high {
		var became quarantine
		became, isolated = s.isolate(ctx, target, namespace, pod)
		s.quarantines.WithLabelValues(target.Tenant, target.ServiceAccount, string(became)).Inc()
		*about = append(*about, "zerotrust.quarantine", string(became))
	}
	changed, err := s.raise(ctx, id, level)
	if changed > 0 {
		s.raises.WithLabelValues(target.Tenant, target.ServiceAccount, level).Inc()
	}
	*about = append(*about, "zerotrust.risks_written", changed)
	return errors.Join(isolated, err)
}

func (s *server) end(answer http.ResponseWriter, status int, outcome string, level slog.Level, words string, about ...any) {
	s.events.WithLabelValues(outcome).Inc()
	answer.WriteHeader(status)
	ended := "success"
	if status >= http.StatusBadRequest {
		ended = "failure"
	}
	all := append([]any{"event.action", outcome, "event.outcome", ended, "http.response.status_code", status}, about...)
	slog.Log(context.Background(), level, words, all...)
}
