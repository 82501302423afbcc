// image-service is a kubelet's image service for a node that reaches no registry: a pull takes the image from an OCI archive
// on this machine, which a table names by repository, and gives it the reference that was asked for, whatever its digest.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const largest = 16 << 20 // bytes of a message: a node's list of images

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "image-service:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "unix:///run/image-service.sock", "socket to serve on")
	containerd := flag.String("containerd", "/run/containerd/containerd.sock", "containerd's socket")
	table := flag.String("table", "", "JSON file: which archive answers for which repository")
	first := flag.String("first", "sandbox.local/pause:1",
		"reference to bring before serving, if the table has it: that of the pods' sandboxes, which no kubelet pulls")
	flag.Parse()
	path, isUnix := strings.CutPrefix(*listen, "unix://")
	if *table == "" || !isUnix {
		return errors.New("needs --table and a --listen that begins with unix://")
	}
	if _, err := readTable(*table); err != nil {
		return err
	}
	connection, err := grpc.NewClient(
		"unix://"+*containerd,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largest), grpc.WaitForReady(true)),
	)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	answering := &service{images: runtime.NewImageServiceClient(connection), store: newStore(connection), table: *table}
	if err := answering.begin(*first); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	server := grpc.NewServer(grpc.MaxSendMsgSize(largest))
	runtime.RegisterImageServiceServer(server, answering)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		server.GracefulStop()
	}()
	return server.Serve(listener)
}
