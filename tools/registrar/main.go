// registrar tells a node's kubelet of a CSI driver: it asks the driver for its name and serves the kubelet's registration
// socket with it. Same command line as the registrar that CSI drivers' charts run beside the driver, as far as they use it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// registrar answers the kubelet's two calls.
type registrar struct {
	registration.UnimplementedRegistrationServer
	info    *registration.PluginInfo
	refused chan string
	healthy atomic.Bool
}

// GetInfo says which driver it is and where the kubelet reaches it.
func (r *registrar) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return r.info, nil
}

// NotifyRegistrationStatus hears whether the kubelet took the driver; if not, the program ends and is started again.
func (r *registrar) NotifyRegistrationStatus(
	_ context.Context, told *registration.RegistrationStatus,
) (*registration.RegistrationStatusResponse, error) {
	r.healthy.Store(told.PluginRegistered)
	if !told.PluginRegistered {
		select {
		case r.refused <- told.Error:
		default: // it ends already
		}
	}
	return &registration.RegistrationStatusResponse{}, nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "registrar:", err)
		os.Exit(1)
	}
}

func run() error {
	driver := flag.String("csi-address", "/run/csi/socket", "the driver's socket, as this container sees it")
	reached := flag.String("kubelet-registration-path", "", "the same socket, as the kubelet sees it")
	folder := flag.String("plugin-registration-path", "/registration", "the kubelet's folder of registration sockets")
	health := flag.String("http-endpoint", "", "address to serve /healthz on; none when empty")
	port := flag.Int("health-port", 0, "port to serve /healthz on; none when 0")
	wait := flag.Duration("timeout", time.Minute, "how long to wait for the driver")
	_ = flag.Int("v", 0, "taken and not used")
	flag.Parse()
	if *reached == "" {
		return errors.New("needs --kubelet-registration-path")
	}
	name, err := driverName(strings.TrimPrefix(*driver, "unix://"), *wait)
	if err != nil {
		return fmt.Errorf("the driver at %s: %w", *driver, err)
	}
	made := &registrar{
		info: &registration.PluginInfo{
			Type: registration.CSIPlugin, Name: name, Endpoint: *reached, SupportedVersions: []string{"1.0.0"},
		},
		refused: make(chan string, 1),
	}
	if *port != 0 {
		*health = fmt.Sprintf(":%d", *port)
	}
	if *health != "" {
		go serveHealth(*health, made)
	}
	return serve(filepath.Join(*folder, name+"-reg.sock"), made)
}

// driverName asks the driver, as soon as it is there.
func driverName(socket string, wait time.Duration) (string, error) {
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", err
	}
	defer func() { _ = connection.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	said, err := csi.NewIdentityClient(connection).GetPluginInfo(ctx, &csi.GetPluginInfoRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return "", err
	}
	if said.GetName() == "" || strings.ContainsRune(said.GetName(), filepath.Separator) {
		return "", fmt.Errorf("%q is no driver's name", said.GetName())
	}
	return said.GetName(), nil
}

// serve answers on the registration socket until it is told to stop or the kubelet refuses the driver.
func serve(path string, made *registrar) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(path) }()
	server := grpc.NewServer()
	registration.RegisterRegistrationServer(server, made)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	fmt.Printf("%s is offered to the kubelet at %s\n", made.info.Name, path)
	select {
	case <-signals:
		server.GracefulStop()
		return nil
	case why := <-made.refused:
		server.GracefulStop() // the kubelet gets its answer
		return fmt.Errorf("the kubelet does not take %s: %s", made.info.Name, why)
	case err := <-failed:
		return err
	}
}

// serveHealth answers 200 once the kubelet has taken the driver.
func serveHealth(address string, made *registrar) {
	handler := http.NewServeMux()
	handler.HandleFunc("/healthz", func(answer http.ResponseWriter, _ *http.Request) {
		if !made.healthy.Load() {
			answer.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	if err := server.ListenAndServe(); err != nil {
		fmt.Fprintln(os.Stderr, "registrar: health:", err)
	}
}
