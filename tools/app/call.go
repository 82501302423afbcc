package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// headers is a flag that may be given several times: `Name: value`.
type headers []string

func (h *headers) String() string     { return strings.Join(*h, ", ") }
func (h *headers) Set(v string) error { *h = append(*h, v); return nil }

// request is what `app call` was told.
type request struct {
	url, method, body, target, address, serverName string
	headers                                        headers
	ca, certificate, key, newest, oldest           string
	protocol                                       string
	svid, http2, anyServer, listed                 bool
	wait, every                                    time.Duration
	count                                          int
}

// outcome is what came of one request; Error is empty when there was an answer, whatever its status.
type outcome struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body"`
	Error   string            `json:"error"`
	At      string            `json:"at"`
	Seconds float64           `json:"seconds"`
	TLS     *handshake        `json:"tls,omitempty"`
	Local   string            `json:"local,omitempty"` // this end of the connection, by which a proxy's log knows it
}

// handshake is what the server showed.
type handshake struct {
	Version  string   `json:"version"`
	Names    []string `json:"names"`
	NotAfter string   `json:"not_after"`
}

var versions = map[string]uint16{"1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func call(ctx context.Context, arguments []string) error {
	asked := &request{}
	flags := flag.NewFlagSet("call", flag.ContinueOnError)
	flags.StringVar(&asked.method, "method", http.MethodGet, "HTTP method")
	flags.Var(&asked.headers, "header", "`Name: value`; any number of times; Host too")
	flags.StringVar(&asked.body, "body", "", "what to send")
	flags.StringVar(&asked.target, "target", "", "the request line's path, byte for byte, in place of the URL's")
	flags.StringVar(&asked.address, "address", "", "connect to this host:port, whatever the URL says")
	flags.BoolVar(&asked.http2, "http2", false, "HTTP/2, without TLS by prior knowledge")
	flags.StringVar(&asked.serverName, "server-name", "", "name to ask for in the handshake, and to hold the server to")
	flags.StringVar(&asked.protocol, "alpn", "", "application protocol to offer in the handshake, before HTTP/1.1")
	flags.StringVar(&asked.ca, "ca", "", "file with the authorities to trust")
	flags.BoolVar(&asked.anyServer, "any-server", false, "do not look at the server's certificate")
	flags.StringVar(&asked.certificate, "cert", "", "file with a client certificate")
	flags.StringVar(&asked.key, "key", "", "file with its key")
	flags.BoolVar(&asked.svid, "svid", false, "show this pod's X509-SVID")
	flags.StringVar(&asked.oldest, "tls-min", "1.2", "oldest version of TLS to offer")
	flags.StringVar(&asked.newest, "tls-max", "1.3", "newest version of TLS to offer")
	flags.DurationVar(&asked.wait, "timeout", patience, "for each request")
	flags.IntVar(&asked.count, "count", 1, "how many requests, one after the other over one connection")
	flags.DurationVar(&asked.every, "every", 0, "from the begin of one request to that of the next")
	flags.BoolVar(&asked.listed, "list", false, "requests from standard input in place of the URL, one JSON object a line")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if asked.listed {
		return asked.sendAll(ctx, os.Stdin)
	}
	if flags.NArg() != 1 {
		return errors.New("call needs one URL, after the flags")
	}
	asked.url = flags.Arg(0)
	transport, err := asked.transport(ctx)
	if err != nil {
		return err
	}
	client := asked.client(transport)
	for number := 0; number < asked.count && ctx.Err() == nil; number++ {
		next := time.After(asked.every)
		if err := printJSON(asked.send(ctx, client)); err != nil {
			return err
		}
		if number+1 < asked.count {
			select {
			case <-next:
			case <-ctx.Done():
			}
		}
	}
	return nil
}

func (r *request) client(transport *http.Transport) *http.Client {
	return &http.Client{Transport: transport, Timeout: r.wait, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

func (r *request) transport(ctx context.Context) (*http.Transport, error) {
	oldest, knownOldest := versions[r.oldest]
	newest, knownNewest := versions[r.newest]
	if !knownOldest || !knownNewest {
		return nil, errors.New("versions of TLS are 1.0, 1.1, 1.2 and 1.3")
	}
	// Which server is trusted is the caller's to say: an attack must reach the server to be refused there.
	config := &tls.Config{MinVersion: oldest, MaxVersion: newest, ServerName: r.serverName, InsecureSkipVerify: r.anyServer} //nolint:gosec
	if r.protocol != "" {
		config.NextProtos = []string{r.protocol}
	}
	if r.ca != "" {
		text, err := os.ReadFile(r.ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(text)
	}
	if err := r.show(ctx, config); err != nil {
		return nil, err
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!r.http2)
	protocols.SetHTTP2(r.http2)
	protocols.SetUnencryptedHTTP2(r.http2)
	made := &http.Transport{TLSClientConfig: config, Protocols: protocols, DisableCompression: true}
	made.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if r.address != "" {
			address = r.address
		}
		connection, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if end, asks := ctx.Value(localKey{}).(*atomic.Value); asks && err == nil {
			end.Store(connection.LocalAddr().String())
		}
		return connection, err
	}
	return made, nil
}

// show sets the client certificate.
func (r *request) show(ctx context.Context, config *tls.Config) error {
	if r.certificate != "" {
		pair, err := tls.LoadX509KeyPair(r.certificate, r.key)
		config.Certificates = []tls.Certificate{pair}
		return err
	}
	if !r.svid {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	known, err := workloadapi.FetchX509SVID(ctx)
	if err != nil {
		return err
	}
	pair := tls.Certificate{PrivateKey: known.PrivateKey}
	for _, certificate := range known.Certificates {
		pair.Certificate = append(pair.Certificate, certificate.Raw)
	}
	config.Certificates = []tls.Certificate{pair}
	return nil
}

func (r *request) send(ctx context.Context, client *http.Client) *outcome {
	began := time.Now()
	made := &outcome{At: began.UTC().Format(time.RFC3339Nano)}
	if err := r.fill(ctx, client, made); err != nil {
		made.Error = err.Error()
		if said := alert(ctx, client, r.url, err); said != nil {
			made.Error += ", and asked again: " + said.Error()
		}
	}
	made.Seconds = time.Since(began).Seconds()
	return made
}

// localKey finds in the context of a dial where to say this end of the connection, which may come to carry no request.
type localKey struct{}

func (r *request) fill(ctx context.Context, client *http.Client, made *outcome) error {
	local := &atomic.Value{}
	defer func() { made.Local, _ = local.Load().(string) }()
	ctx = httptrace.WithClientTrace(context.WithValue(ctx, localKey{}, local), &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) { local.Store(got.Conn.LocalAddr().String()) },
	})
	sent, err := http.NewRequestWithContext(ctx, r.method, r.url, strings.NewReader(r.body))
	if err != nil {
		return err
	}
	if r.target != "" {
		sent.URL.Opaque = r.target
	}
	for _, line := range r.headers {
		name, value, isHeader := strings.Cut(line, ":")
		if !isHeader {
			return fmt.Errorf("%q is no header", line)
		}
		if value = strings.TrimSpace(value); strings.EqualFold(name, "Host") {
			sent.Host = value
		}
		sent.Header.Add(strings.TrimSpace(name), value)
	}
	said, err := client.Do(sent)
	if err != nil {
		return err
	}
	defer func() { _ = said.Body.Close() }()
	made.Status, made.Headers = said.StatusCode, map[string]string{}
	for name := range said.Header {
		made.Headers[strings.ToLower(name)] = said.Header.Get(name)
	}
	if said.TLS != nil {
		made.TLS = shown(said.TLS)
	}
	text, err := io.ReadAll(io.LimitReader(said.Body, largestBody))
	made.Body = string(text)
	return err
}

func shown(state *tls.ConnectionState) *handshake {
	leaf := state.PeerCertificates[0]
	names := append([]string{}, leaf.DNSNames...)
	for _, uri := range leaf.URIs {
		names = append(names, uri.String())
	}
	return &handshake{
		Version: tls.VersionName(state.Version), Names: names, NotAfter: leaf.NotAfter.UTC().Format(time.RFC3339),
	}
}
