// Command otelcol is an OpenTelemetry collector with the components that the platform's configurations name and no
// others, so that a configuration with a foreign component or key is refused here as it would be in the cluster. The one
// addition is the exporter to a file, in which tests read what came out.
//
// Metrics are not made of spans (span_metrics, service_graph): the mesh's proxies count every request, by both identities and
// before any sampling, and a second count of the same calls would only be a second answer.
//
//	otelcol components                        what is built in
//	otelcol validate --config file:x.yaml     the configuration's own checks, nothing is started
//	otelcol --config file:x.yaml              runs
//
// A configuration comes from a file (`file:`), the environment (`env:`, `${env:NAME}`) or the command line (`yaml:`).
// Exit code 1: the configuration is refused or the collector failed.
package main

import (
	"os"
	"runtime/debug"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/otelcol"
)

const core = "go.opentelemetry.io/collector/otelcol"

func main() {
	command := otelcol.NewCommand(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{
			Command:     "otelcol",
			Description: "OpenTelemetry collector with the platform's components",
			Version:     release(),
		},
		Factories: factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			ProviderFactories: []confmap.ProviderFactory{
				fileprovider.NewFactory(),
				envprovider.NewFactory(),
				yamlprovider.NewFactory(),
			},
			DefaultScheme: "env",
		}},
	})
	if command.Execute() != nil { // it has printed the error
		os.Exit(1)
	}
}

// release is the collector release this was built from: the version of the core module in the binary.
func release() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, module := range info.Deps {
		if module.Path == core {
			return module.Version
		}
	}
	return "unknown"
}
