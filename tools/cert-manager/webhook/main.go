// Command webhook judges and completes cert-manager's objects as they are written.
package main

import (
	"context"

	"github.com/cert-manager/cert-manager/internal/apis/config/webhook/validation"
	cmwebhook "github.com/cert-manager/cert-manager/internal/webhook"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/webhook/options"
	"github.com/cert-manager/cert-manager/zerotrust/program"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func main() {
	configuration, err := options.NewWebhookConfiguration()
	if err != nil {
		panic(err) // the defaults are the library's own
	}
	component := program.Component{
		Name:     "webhook",
		Flags:    pflag.NewFlagSet("webhook", pflag.ContinueOnError),
		Logging:  &configuration.Logging,
		Gates:    &configuration.FeatureGates,
		Validate: func() field.ErrorList { return validation.ValidateWebhookConfiguration(configuration, nil) },
		Run: func(ctx context.Context) error {
			server, err := cmwebhook.NewCertManagerWebhookServer(logf.FromContext(ctx), *configuration)
			if err != nil {
				return err
			}
			return server.Run(ctx)
		},
	}
	options.AddConfigFlags(component.Flags, configuration) // logging and features among them
	component.Main()
}
