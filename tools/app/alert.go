package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// alertPatience is how long a server has to say why it ends a connection.
const alertPatience = time.Second

// alert asks again why a server ended a connection, without a request: the reset that meets one may overtake the alert. It is
// nil where there was one already, where the server says nothing, or without TLS.
func alert(ctx context.Context, client *http.Client, asked string, failed error) error {
	to, err := url.Parse(asked)
	transport, plain := client.Transport.(*http.Transport)
	if err != nil || !plain || to.Scheme != "https" || isAlert(failed) {
		return nil
	}
	port := to.Port()
	if port == "" {
		port = "443"
	}
	ctx, cancel := context.WithTimeout(ctx, alertPatience)
	defer cancel()
	connection, err := transport.DialContext(ctx, "tcp", net.JoinHostPort(to.Hostname(), port))
	if err != nil {
		return nil
	}
	defer func() { _ = connection.Close() }()
	config := transport.TLSClientConfig.Clone()
	if config.ServerName == "" {
		config.ServerName = to.Hostname()
	}
	_ = connection.SetDeadline(time.Now().Add(alertPatience))
	if _, err = tls.Client(connection, config).Read(make([]byte, 1)); isAlert(err) {
		return err
	}
	return nil
}

func isAlert(err error) bool {
	var said *net.OpError
	return errors.As(err, &said) && said.Op == "remote error"
}
