// app stands in for the tenants' services in the sandbox. `app serve` answers as one of them; `app call` sends a request and
// prints what came of it; `app identity` prints what SPIRE's agent gives to this pod. It trusts nothing by itself: who may
// call is the mesh's to decide, which is what it is there to show.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		return serve(ctx)
	}
	switch command, rest := arguments[0], arguments[1:]; command {
	case "serve":
		return serve(ctx)
	case "call":
		return call(ctx, rest)
	case "identity":
		return identity(ctx, rest)
	default:
		return errors.New("app serve | app call [flags] <url> | app identity [--audience=<audience>]")
	}
}

// printJSON writes one line.
func printJSON(value any) error { return json.NewEncoder(os.Stdout).Encode(value) }
