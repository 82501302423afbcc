package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
)

// longestLine of a list of requests, in bytes.
const longestLine = 1 << 20

// listed is one request of a list; what it does not say is as the flags have it.
type listed struct {
	URL        string   `json:"url"`
	Method     string   `json:"method"`
	Headers    []string `json:"headers"`
	Body       string   `json:"body"`
	Address    string   `json:"address"`
	ServerName string   `json:"server_name"`
}

// sendAll sends a list in its order and prints an outcome for each. Requests to one address under one name share connections.
func (r *request) sendAll(ctx context.Context, list io.Reader) error {
	clients := map[[2]string]*http.Client{}
	lines := bufio.NewScanner(list)
	lines.Buffer(nil, longestLine)
	for lines.Scan() && ctx.Err() == nil {
		wanted := listed{Method: r.method, Body: r.body, Address: r.address, ServerName: r.serverName}
		if err := json.Unmarshal(lines.Bytes(), &wanted); err != nil {
			return err
		}
		one := *r
		one.url, one.method, one.body, one.address, one.serverName =
			wanted.URL, wanted.Method, wanted.Body, wanted.Address, wanted.ServerName
		one.headers = append(append(headers{}, r.headers...), wanted.Headers...)
		end := [2]string{one.address, one.serverName}
		if clients[end] == nil {
			transport, err := one.transport(ctx)
			if err != nil {
				return err
			}
			clients[end] = one.client(transport)
		}
		if err := printJSON(one.send(ctx, clients[end])); err != nil {
			return err
		}
	}
	return lines.Err()
}
