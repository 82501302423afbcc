// volumes is the node's half of a CSI driver: a volume is a folder of its node, and to publish it is to mount it where the
// kubelet says. The other half, which makes the PersistentVolumes, is the sandbox's cloud (sandbox/local/volumes.py).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const readable = 0o755

// driver answers the kubelet for the volumes below root.
type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedNodeServer
	name, node, root string
}

// GetPluginInfo says which driver it is.
func (d *driver) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: d.name, VendorVersion: "1"}, nil
}

// GetPluginCapabilities has none: the controller's half is elsewhere.
func (d *driver) GetPluginCapabilities(
	context.Context, *csi.GetPluginCapabilitiesRequest,
) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{}, nil
}

// Probe is asked whether the driver works.
func (d *driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

// NodeGetCapabilities has none: a volume is published in one step.
func (d *driver) NodeGetCapabilities(
	context.Context, *csi.NodeGetCapabilitiesRequest,
) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

// NodeGetInfo says which node it is.
func (d *driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.node}, nil
}

// NodePublishVolume mounts the volume's folder; a second time is no error.
func (d *driver) NodePublishVolume(
	_ context.Context, asked *csi.NodePublishVolumeRequest,
) (*csi.NodePublishVolumeResponse, error) {
	id := asked.GetVolumeId()
	if id == "" || id != filepath.Base(id) || id == ".." || id == "." {
		return nil, status.Errorf(codes.InvalidArgument, "%q is no volume's name", id)
	}
	folder := filepath.Join(d.root, id)
	if _, err := os.Stat(folder); err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	target := asked.GetTargetPath()
	if err := os.MkdirAll(target, readable); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	mounted, err := isMount(target)
	if err == nil && !mounted {
		err = unix.Mount(folder, target, "", unix.MS_BIND, "")
	}
	if err == nil && asked.GetReadonly() {
		err = unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
	if err != nil {
		return nil, status.Errorf(codes.Internal, "%s at %s: %v", folder, target, err)
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

// NodeUnpublishVolume takes the mount away; what is not there is no error.
func (d *driver) NodeUnpublishVolume(
	_ context.Context, asked *csi.NodeUnpublishVolumeRequest,
) (*csi.NodeUnpublishVolumeResponse, error) {
	target := asked.GetTargetPath()
	if err := unix.Unmount(target, 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return nil, status.Errorf(codes.Internal, "%s: %v", target, err)
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// isMount is whether a mount begins here: the kernel has a number for each.
func isMount(path string) (bool, error) {
	var here, above unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &here); err != nil {
		return false, err
	}
	if err := unix.Statx(unix.AT_FDCWD, filepath.Dir(path), unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &above); err != nil {
		return false, err
	}
	return here.Mnt_id != above.Mnt_id, nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "volumes:", err)
		os.Exit(1)
	}
}

func run() error {
	made := &driver{}
	flag.StringVar(&made.name, "driver", "", "name of the driver")
	flag.StringVar(&made.node, "node", "", "name of this node")
	flag.StringVar(&made.root, "root", "", "folder of the volumes")
	socket := flag.String("listen", "", "path of the socket to serve")
	flag.Parse()
	if made.name == "" || made.node == "" || made.root == "" || *socket == "" {
		return errors.New("needs --driver, --node, --root and --listen")
	}
	if err := os.MkdirAll(filepath.Dir(*socket), readable); err != nil {
		return err
	}
	if err := os.Remove(*socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", *socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	csi.RegisterIdentityServer(server, made)
	csi.RegisterNodeServer(server, made)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		server.GracefulStop()
	}()
	return server.Serve(listener)
}
