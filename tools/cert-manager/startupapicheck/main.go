// Command startupapicheck ends when the API server takes a certificate: the kinds are known and the webhook answers.
//
// Usage: startupapicheck check api --wait=1m
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/cert-manager/cert-manager/pkg/util/cmapichecker"
	"github.com/cert-manager/cert-manager/zerotrust/program"
	"github.com/spf13/pflag"
	logsapi "k8s.io/component-base/logs/api/v1"
	ctrl "sigs.k8s.io/controller-runtime"
)

const interval = 2 * time.Second

func main() {
	flags := pflag.NewFlagSet("startupapicheck", pflag.ContinueOnError)
	wait := flags.Duration("wait", 0, "How long to ask before giving up; once when zero.")
	namespace := flags.StringP("namespace", "n", os.Getenv("POD_NAMESPACE"), "Where a certificate is tried, without being kept.")
	component := program.Component{
		Name:    "startupapicheck",
		Flags:   flags,
		Logging: logsapi.NewLoggingConfiguration(),
		Gates:   &map[string]bool{},
		Run:     func(ctx context.Context) error { return check(ctx, *namespace, *wait) },
	}
	component.AddCommonFlags()
	// the chart asks for more words by the flag alone
	flags.Lookup("v").NoOptDefVal = "2"
	component.Main()
}

func check(ctx context.Context, namespace string, wait time.Duration) error {
	connection, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	checker, err := cmapichecker.New(connection, namespace)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(wait)
	for {
		refused := checker.Check(ctx)
		if refused == nil {
			fmt.Println("The cert-manager API is ready")
			return nil
		}
		if time.Now().Add(interval).After(deadline) {
			return refused
		}
		fmt.Fprintf(os.Stderr, "not ready: %v\n", refused)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(interval):
		}
	}
}
