package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// patience is how long any step of a request may take; exceeding it is a failure of the machinery, never a verdict.
const patience = 20 * time.Second

// probePatience is how long a server may take to send the alert with which it rejects a certificate.
const probePatience = 5 * time.Second

// asked is one request. Every field up to TLSMax chooses the connection.
type asked struct {
	Address     string `json:"address"`     // the listener, ip:port
	Source      string `json:"source"`      // the caller's pod address
	Destination string `json:"destination"` // the called pod's address, ip:port
	Cert        string `json:"cert"`        // PEM files; no certificate is sent when empty
	Key         string `json:"key"`
	CA          string `json:"ca"`         // the server's roots; not verified when empty
	ServerSAN   string `json:"server_san"` // URI the server's certificate must carry, with ca
	SNI         string `json:"sni"`
	Plaintext   bool   `json:"plaintext"`
	TLSMax      string `json:"tls_max"` // 1.2 or 1.3, 1.3 when empty

	ID      string      `json:"id"`
	Method  string      `json:"method"` // ECHO sends bytes and waits for them: a TCP service
	Path    string      `json:"path"`   // sent as it stands
	Host    string      `json:"host"`
	Headers [][2]string `json:"headers"`
}

// answered is the verdict: exactly one of Status, TLSError and Reset says how it ended. ECHO ends in 200 or a reset.
type answered struct {
	ID        string `json:"id"`
	Status    int    `json:"status"`
	TLSError  string `json:"tls_error"`
	Reset     bool   `json:"reset"`     // the connection was closed without an answer
	Path      string `json:"path"`      // what would have been forwarded, with 200
	Principal string `json:"principal"` // the caller's SPIFFE ID as Envoy read it, with 200
	Cluster   string `json:"cluster"`   // where it would have been forwarded, with 200
	Reason    string `json:"reason"`    // Envoy's response code details
}

// connection is what requests must have in common to share one.
type connection struct {
	address, source, destination, cert, key, ca, serverSAN, sni, tlsMax string
	plaintext                                                           bool
}

func (q asked) connection() connection {
	return connection{q.Address, q.Source, q.Destination, q.Cert, q.Key, q.CA, q.ServerSAN, q.SNI, q.TLSMax, q.Plaintext}
}

// refused is a verdict of the transport: it holds for every request of the connection.
type refused struct {
	tls   string
	reset bool
}

func (r *refused) Error() string { return "refused: " + r.tls }

// asker puts requests over kept connections; what it loads from files it loads once.
type asker struct {
	lock  sync.Mutex
	pairs map[string]*tls.Certificate
	roots map[string]*x509.CertPool
}

func ask(requests []asked) ([]answered, error) {
	answers := make([]answered, len(requests))
	groups, order := map[connection][]int{}, []connection{}
	for index, request := range requests {
		key := request.connection()
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], index)
	}
	worker := &asker{pairs: map[string]*tls.Certificate{}, roots: map[string]*x509.CertPool{}}
	queue, failures := make(chan connection), make(chan error, len(order))
	var running sync.WaitGroup
	for range 4 {
		running.Add(1)
		go func() {
			defer running.Done()
			for key := range queue {
				if err := worker.group(key, requests, groups[key], answers); err != nil {
					failures <- err
				}
			}
		}()
	}
	for _, key := range order {
		queue <- key
	}
	close(queue)
	running.Wait()
	close(failures)
	return answers, <-failures
}

func (a *asker) group(key connection, requests []asked, members []int, answers []answered) error {
	var wire net.Conn
	var reader *bufio.Reader
	defer func() {
		if wire != nil {
			wire.Close()
		}
	}()
	var transport *refused
	accepted := false
	for _, index := range members {
		answers[index].ID = requests[index].ID
		for transport == nil {
			kept := wire != nil
			if !kept {
				made, err := a.dial(key)
				if errors.As(err, &transport) {
					break
				}
				if err != nil {
					return fmt.Errorf("request %s: %w", requests[index].ID, err)
				}
				wire, reader = made, bufio.NewReader(made)
			}
			again, err := exchange(wire, reader, requests[index], &answers[index])
			if err == nil && again {
				break
			}
			wire.Close()
			wire = nil
			if err == nil {
				break
			}
			if kept { // the server may close a kept connection between two requests
				continue
			}
			verdict, failure := judge(err)
			if failure != nil {
				return fmt.Errorf("request %s: %w", requests[index].ID, failure)
			}
			if verdict.tls == "" && !key.plaintext && !accepted && !errors.Is(err, io.EOF) {
				if verdict, accepted, err = a.probe(key); err != nil {
					return fmt.Errorf("request %s: %w", requests[index].ID, err)
				}
			}
			if verdict.tls == "" { // only what TLS says holds for the connection
				answers[index].Reset = true
				break
			}
			transport = verdict
		}
		if transport != nil {
			answers[index].TLSError, answers[index].Reset = transport.tls, transport.reset
		}
	}
	return nil
}

// judge reads the first failure on a fresh connection: TLS 1.3 reports the peer's rejection on the first read.
func judge(err error) (*refused, error) {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return nil, err
	}
	var alert tls.AlertError
	var operation *net.OpError
	if errors.As(err, &alert) || errors.As(err, &operation) && operation.Op == "remote error" {
		return &refused{tls: err.Error()}, nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "connection reset") ||
		strings.Contains(err.Error(), "broken pipe") {
		return &refused{reset: true}, nil
	}
	return nil, err
}

// probe tells a rejected certificate from a closed connection when the reset came before the alert could be read: what the
// client had written by then was never taken. It writes nothing, so nothing is reset.
func (a *asker) probe(key connection) (verdict *refused, accepted bool, err error) {
	wire, err := a.dial(key)
	if errors.As(err, &verdict) {
		return verdict, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer wire.Close()
	_ = wire.SetReadDeadline(time.Now().Add(probePatience))
	_, err = wire.Read(make([]byte, 1))
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		return &refused{reset: true}, true, nil
	}
	verdict, err = judge(err)
	return verdict, false, err
}

func (a *asker) dial(key connection) (net.Conn, error) {
	raw, err := net.DialTimeout("tcp", key.address, patience)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(key.destination)
	if err != nil {
		return nil, err
	}
	_ = raw.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(raw, "PROXY TCP4 %s %s 40000 %s\r\n", key.source, host, port); err != nil {
		return nil, err
	}
	if key.plaintext {
		return raw, nil
	}
	config, err := a.config(key)
	if err != nil {
		return nil, err
	}
	secured := tls.Client(raw, config)
	if err := secured.Handshake(); err != nil {
		raw.Close()
		var unverified *unexpectedServer
		if errors.As(err, &unverified) {
			return nil, &refused{tls: err.Error()}
		}
		verdict, err := judge(err)
		if err != nil {
			return nil, err
		}
		return nil, verdict
	}
	return secured, nil
}

// unexpectedServer is the client's own refusal of the server's certificate.
type unexpectedServer struct{ cause error }

func (u *unexpectedServer) Error() string { return "server not accepted: " + u.cause.Error() }

func (a *asker) config(key connection) (*tls.Config, error) {
	config := &tls.Config{
		InsecureSkipVerify: true, // SPIFFE has no host names; VerifyConnection below takes its place
		ServerName:         key.sni,
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"istio-http/1.1", "istio", "http/1.1"}, // as Istio's sidecars offer
	}
	if key.tlsMax == "1.2" {
		config.MaxVersion = tls.VersionTLS12
	}
	pair, roots := &tls.Certificate{}, (*x509.CertPool)(nil)
	a.lock.Lock()
	defer a.lock.Unlock()
	if key.cert != "" {
		if a.pairs[key.cert] == nil {
			loaded, err := tls.LoadX509KeyPair(key.cert, key.key)
			if err != nil {
				return nil, err
			}
			a.pairs[key.cert] = &loaded
		}
		pair = a.pairs[key.cert]
	}
	// With Certificates, Go would send none when the server names other issuers, and the case would test something else.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	if key.ca != "" {
		if a.roots[key.ca] == nil {
			text, err := os.ReadFile(key.ca)
			if err != nil {
				return nil, err
			}
			a.roots[key.ca] = x509.NewCertPool()
			if !a.roots[key.ca].AppendCertsFromPEM(text) {
				return nil, fmt.Errorf("%s holds no certificate", key.ca)
			}
		}
		roots = a.roots[key.ca]
		config.VerifyConnection = func(state tls.ConnectionState) error { return verify(state, roots, key.serverSAN) }
	}
	return config, nil
}

func verify(state tls.ConnectionState, roots *x509.CertPool, san string) error {
	between := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates[1:] {
		between.AddCert(certificate)
	}
	leaf := state.PeerCertificates[0]
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between}); err != nil {
		return &unexpectedServer{err}
	}
	for _, uri := range leaf.URIs {
		if san == "" || uri.String() == san {
			return nil
		}
	}
	return &unexpectedServer{fmt.Errorf("it is not %s", san)}
}

// exchange sends one request and reads its answer; again says whether the connection can serve another.
func exchange(wire net.Conn, reader *bufio.Reader, request asked, answer *answered) (again bool, err error) {
	_ = wire.SetDeadline(time.Now().Add(patience))
	if request.Method == "ECHO" {
		if _, err := io.WriteString(wire, "echo"); err != nil {
			return false, err
		}
		back := make([]byte, 4)
		if _, err := io.ReadFull(reader, back); err != nil {
			return false, err
		}
		answer.Status = http.StatusOK
		return false, nil
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\n", request.Method, request.Path, request.Host)
	for _, pair := range request.Headers {
		fmt.Fprintf(&text, "%s: %s\r\n", pair[0], pair[1])
	}
	if request.Method != http.MethodGet && request.Method != http.MethodHead {
		text.WriteString("Content-Length: 0\r\n")
	}
	text.WriteString("\r\n")
	if _, err := io.WriteString(wire, text.String()); err != nil {
		return false, err
	}
	response, err := http.ReadResponse(reader, &http.Request{Method: request.Method})
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return false, err
	}
	answer.Status = response.StatusCode
	answer.Path, answer.Principal = response.Header.Get("x-path"), response.Header.Get("x-principal")
	answer.Cluster, answer.Reason = response.Header.Get("x-cluster"), response.Header.Get("x-reason")
	return !response.Close, nil
}
