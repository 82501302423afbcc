package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

const (
	largestBody = 1 << 20
	patience    = 10 * time.Second
)

// passedOn is what a service hands on with a call that it makes for a caller.
var passedOn = []string{"Authorization", "X-Request-Id", "Traceparent", "Tracestate"}

var (
	tenantName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	podSuffix  = regexp.MustCompile(`-[a-z0-9]{1,10}-[a-z0-9]{5}$`)
	callerURI  = regexp.MustCompile(`(?:^|[;,])URI=([^;,]+)`)
)

// server is one service of a tenant.
type server struct {
	service  string
	port     string
	source   atomic.Pointer[workloadapi.X509Source] // nil until the agent of SPIRE answered
	ledger   *ledger                                // nil for a service without a database that it writes
	sessions *cache                                 // nil for a service without a cache
	client   *http.Client
	answered atomic.Int64
	refused  atomic.Int64
}

// answer is what any path is answered with.
type answer struct {
	Service       string `json:"service"`
	Identity      string `json:"identity"`
	Method        string `json:"method"`
	Path          string `json:"path"`
	Host          string `json:"host"`
	Protocol      string `json:"protocol"`
	Caller        string `json:"caller"`
	Certificate   string `json:"x-forwarded-client-cert"`
	Request       string `json:"x-request-id"`
	Trace         string `json:"traceparent"`
	Authorization bool   `json:"authorization"`
	Body          int    `json:"body_bytes"`
	Result        any    `json:"result,omitempty"`
	Error         string `json:"error,omitempty"`
}

func serve(ctx context.Context) error {
	port := os.Getenv("PORT")
	if port == "" {
		return errors.New("PORT says on which port to serve")
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	made := &server{
		service:  podSuffix.ReplaceAllString(host, ""),
		port:     port,
		sessions: newCache(os.Environ()),
		client:   &http.Client{Timeout: patience},
	}
	if made.ledger, err = newLedger(ctx, os.Environ()); err != nil {
		return err
	}
	go made.watch(ctx)
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	listening := &http.Server{Addr: ":" + port, Handler: made, Protocols: protocols, ReadHeaderTimeout: patience}
	go func() {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = listening.Shutdown(ending)
	}()
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	slog.Info("serving", "service", made.service, "port", port, "database", made.ledger != nil, "cache", made.sessions != nil)
	if err := listening.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// watch keeps the pod's own identity; it is shown and logged, and nothing depends on it.
func (s *server) watch(ctx context.Context) {
	if os.Getenv("SPIFFE_ENDPOINT_SOCKET") == "" {
		return
	}
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		slog.Warn("no identity", "error", err.Error())
		return
	}
	s.source.Store(source)
}

func (s *server) identity() string {
	source := s.source.Load()
	if source == nil {
		return ""
	}
	svid, err := source.GetX509SVID()
	if err != nil {
		return ""
	}
	return svid.ID.String()
}

func (s *server) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	switch in.URL.Path {
	case "/healthz/live":
		return
	case "/healthz/ready":
		if s.ledger != nil && !s.ledger.ready() {
			http.Error(out, "the database's credential is not there", http.StatusServiceUnavailable)
		}
		return
	case "/metrics":
		fmt.Fprintf(out, "# TYPE app_requests_total counter\napp_requests_total{code=\"2xx\"} %d\n", s.answered.Load())
		fmt.Fprintf(out, "app_requests_total{code=\"other\"} %d\n", s.refused.Load())
		return
	}
	began := time.Now()
	body, err := io.ReadAll(http.MaxBytesReader(out, in.Body, largestBody))
	made := answer{
		Service: s.service, Identity: s.identity(), Method: in.Method, Path: in.URL.Path, Host: in.Host, Protocol: in.Proto,
		Certificate: in.Header.Get("X-Forwarded-Client-Cert"), Request: in.Header.Get("X-Request-Id"),
		Trace: in.Header.Get("Traceparent"), Authorization: in.Header.Get("Authorization") != "", Body: len(body),
	}
	made.Caller = caller(made.Certificate)
	code := http.StatusOK
	if err != nil {
		code, made.Error = http.StatusBadRequest, err.Error()
	} else if code, made.Result, err = s.act(in, made.Caller, body); err != nil {
		made.Error = err.Error()
	}
	count := &s.answered
	if code >= http.StatusMultipleChoices {
		count = &s.refused
	}
	count.Add(1)
	out.Header().Set("Content-Type", "application/json")
	out.WriteHeader(code)
	_ = json.NewEncoder(out).Encode(made)
	slog.Info("answered", "service", s.service, "identity", made.Identity, "caller", made.Caller, "method", in.Method,
		"path", in.URL.Path, "status", code, "request_id", made.Request, "traceparent", made.Trace,
		"seconds", time.Since(began).Seconds(), "error", made.Error)
}

// caller is the SPIFFE ID in the header that the sidecar writes about who called; of the last hop where there are several.
func caller(header string) string {
	found := callerURI.FindAllStringSubmatch(header, -1)
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1][1]
}

// transfer is the one document that the services exchange.
type transfer struct {
	To     string `json:"to,omitempty"`
	Amount int64  `json:"amount_minor_units"`
}

// act does what a service does for a path; for any other it is the answer alone.
func (s *server) act(in *http.Request, from string, body []byte) (int, any, error) {
	moves := in.Method == http.MethodPost && (in.URL.Path == "/transfers" || in.URL.Path == "/transfer" && s.ledger != nil)
	if !moves {
		return http.StatusOK, nil, nil
	}
	var asked transfer
	if err := json.Unmarshal(body, &asked); err != nil {
		return http.StatusBadRequest, nil, fmt.Errorf("the body is no transfer: %w", err)
	}
	if in.URL.Path == "/transfers" {
		return s.handOn(in, asked)
	}
	entry, err := s.ledger.book(in.Context(), from, asked.Amount)
	if err != nil {
		return http.StatusBadGateway, nil, fmt.Errorf("ledger: %w", err)
	}
	if s.sessions != nil {
		if err := s.sessions.remember(fmt.Sprintf("transfer:%d", entry.ID), from); err != nil {
			entry.Cache = err.Error() // a cache may be gone: the transfer stands
		}
	}
	return http.StatusOK, entry, nil
}

// handOn calls the transaction service of the bank that is to have the money.
func (s *server) handOn(in *http.Request, asked transfer) (int, any, error) {
	if !tenantName.MatchString(asked.To) {
		return http.StatusBadRequest, nil, fmt.Errorf("%q is no bank's name", asked.To)
	}
	sent, err := json.Marshal(transfer{Amount: asked.Amount})
	if err != nil {
		return http.StatusInternalServerError, nil, err
	}
	url := fmt.Sprintf("http://trans-ms.%s.svc.cluster.local:%s/transfer", asked.To, s.port)
	request, err := http.NewRequestWithContext(in.Context(), http.MethodPost, url, bytes.NewReader(sent))
	if err != nil {
		return http.StatusInternalServerError, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	for _, name := range passedOn {
		if value := in.Header.Get(name); value != "" {
			request.Header.Set(name, value)
		}
	}
	said, err := s.client.Do(request)
	if err != nil {
		return http.StatusBadGateway, nil, err
	}
	defer func() { _ = said.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(said.Body, largestBody))
	if err != nil {
		return http.StatusBadGateway, nil, err
	}
	var result any = strings.TrimSpace(string(text))
	if json.Valid(text) {
		result = json.RawMessage(text)
	}
	return said.StatusCode, result, nil
}
