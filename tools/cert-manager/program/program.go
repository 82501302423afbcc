// Package program runs one of cert-manager's components as a process. The release's commands are modules of their own
// that can only be built in its source tree; the commands here start the same controllers, webhook and injector of the
// released library, and take the flags that the release's chart gives.
package program

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/util"
	utilfeature "github.com/cert-manager/cert-manager/pkg/util/feature"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation/field"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
)

// Component is one process.
type Component struct {
	Name string
	// Flags write into the component's configuration.
	Flags *pflag.FlagSet
	// Logging of the configuration, applied once the flags are read.
	Logging *logsapi.LoggingConfiguration
	// Gates of the configuration: feature name to whether it is on.
	Gates *map[string]bool
	// Validate judges the configuration; nil when nothing does.
	Validate func() field.ErrorList
	Run      func(context.Context) error
}

// AddCommonFlags declares what every component takes beside its own.
func (c *Component) AddCommonFlags() {
	logf.AddFlags(c.Logging, c.Flags)
	c.Flags.Var(cliflag.NewMapStringBool(c.Gates), "feature-gates", "Features to turn on or off, as name=true.")
}

// Main reads the command line, runs the component until it ends or a signal comes, and exits.
func (c *Component) Main() {
	if err := c.main(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", c.Name, err)
		os.Exit(1)
	}
}

func (c *Component) main() error {
	logf.InitLogs()
	defer logf.FlushLogs()
	version := c.Flags.Bool("version", false, "Print the version and end.")
	if err := c.Flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	if *version {
		fmt.Println(util.VersionInfo().GitVersion)
		return nil
	}
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(*c.Gates); err != nil {
		return err
	}
	if c.Validate != nil {
		if problems := c.Validate(); len(problems) > 0 {
			return problems.ToAggregate()
		}
	}
	if err := logf.ValidateAndApply(c.Logging); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	log := logf.Log.WithName(c.Name)
	log.Info("starting", "version", util.VersionInfo().GitVersion)
	return c.Run(logf.NewContext(ctx, log))
}
