package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

const rememberSeconds = 300

// cache is a service's Valkey; the client certificate says who it is, there is no password.
type cache struct{ store store }

func newCache(environment []string) *cache {
	if found := stores(environment, false); len(found) > 0 {
		return &cache{store: found[0]}
	}
	return nil
}

// remember keeps a value for some minutes.
func (c *cache) remember(key, value string) error {
	config, err := c.store.clientTLS()
	if err != nil {
		return err
	}
	dialer := &net.Dialer{Timeout: patience}
	connection, err := tls.DialWithDialer(dialer, "tcp", net.JoinHostPort(c.store.host, c.store.port), config)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	words := []string{"SET", key, value, "EX", fmt.Sprint(rememberSeconds)}
	command := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		command += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := connection.Write([]byte(command)); err != nil {
		return err
	}
	said, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return err
	}
	if said = strings.TrimSpace(said); said != "+OK" {
		return errors.New(said)
	}
	return nil
}
