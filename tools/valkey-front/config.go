package main

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// config is what the front takes out of a Valkey's configuration, and what is left of it for the server behind.
type config struct {
	port, certificate, key, authority string
	secrets                           map[string]string // user → password between the front and the server
	rest                              []string
}

// taken are the directives that the server behind has not, or that the front does in its place.
var taken = map[string]bool{
	"bind": true, "port": true, "tls-port": true, "tls-auth-clients": true, "tls-auth-clients-user": true, "tls-auto-reload-interval": true,
}

// readConfig reads a file and what it includes.
func readConfig(path string) (*config, error) {
	made := &config{secrets: map[string]string{}}
	if err := made.read(path); err != nil {
		return nil, err
	}
	if made.port == "" || made.certificate == "" || made.key == "" || made.authority == "" {
		return nil, fmt.Errorf("%s: needs tls-port, tls-cert-file, tls-key-file and tls-ca-cert-file", path)
	}
	return made, nil
}

func (c *config) read(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if err := c.take(words, strings.TrimSpace(line)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func (c *config) take(words []string, line string) error {
	if len(words) < 2 {
		return fmt.Errorf("%q says nothing", line)
	}
	value := words[1]
	switch words[0] {
	case "include":
		return c.read(value)
	case "tls-auth-clients":
		if value != "yes" {
			return errors.New("tls-auth-clients must be yes: users are known by their certificates")
		}
	case "tls-auth-clients-user":
		if value != "CN" {
			return errors.New("tls-auth-clients-user must be CN")
		}
	case "tls-port":
		c.port = value
	case "tls-cert-file":
		c.certificate = value
	case "tls-key-file":
		c.key = value
	case "tls-ca-cert-file":
		c.authority = value
	case "user":
		if len(words) > 2 && words[2] == "on" {
			c.secrets[value] = rand.Text()
			line += " >" + c.secrets[value]
		}
	}
	if !taken[words[0]] {
		c.rest = append(c.rest, line)
	}
	return nil
}

// behind is the configuration of the server: a socket and no port.
func (c *config) behind(socket string) string {
	return strings.Join(append(c.rest, "port 0", "unixsocket "+socket, "unixsocketperm 600", ""), "\n")
}

// listen takes TLS 1.3 connections of clients that the authority signed for; files are read anew for every handshake.
func (c *config) listen() (net.Listener, error) {
	if _, err := c.current(nil); err != nil {
		return nil, err
	}
	return tls.Listen("tcp", ":"+c.port, &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: c.current})
}

func (c *config) current(*tls.ClientHelloInfo) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.certificate, c.key)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(c.authority)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", c.authority)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		SessionTicketsDisabled: true, // a resumed session would outlive a renewed authority
	}, nil
}
