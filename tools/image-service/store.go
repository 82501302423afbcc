package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	namespace = "k8s.io" // where containerd's CRI plug-in keeps everything of its own
	chunk     = 1 << 20  // of a blob in one message; containerd takes 16 MiB at most
	leaseFor  = time.Hour
)

// store is a containerd, as far as images go.
type store struct {
	content contentapi.ContentClient
	images  imagesapi.ImagesClient
	leases  leasesapi.LeasesClient
}

func newStore(connection *grpc.ClientConn) *store {
	return &store{
		content: contentapi.NewContentClient(connection),
		images:  imagesapi.NewImagesClient(connection),
		leases:  leasesapi.NewLeasesClient(connection),
	}
}

// bring puts an archive's image into the store under a name; what is there already is not written again.
func (s *store) bring(ctx context.Context, source *archive, name string) error {
	ctx = metadata.AppendToOutgoingContext(ctx, "containerd-namespace", namespace)
	lease, err := s.leases.Create(ctx, &leasesapi.CreateRequest{
		ID:     fmt.Sprintf("image-service-%d", time.Now().UnixNano()),
		Labels: map[string]string{"containerd.io/gc.expire": time.Now().Add(leaseFor).UTC().Format(time.RFC3339)},
	})
	if err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	defer func() {
		_, _ = s.leases.Delete(context.WithoutCancel(ctx), &leasesapi.DeleteRequest{ID: lease.Lease.ID})
	}()
	leased := metadata.AppendToOutgoingContext(ctx, "containerd-lease", lease.Lease.ID)
	children := map[string]string{"containerd.io/gc.ref.content.config": source.config.Digest}
	for index, layer := range source.layers {
		if err := s.write(leased, source, layer, nil); err != nil {
			return err
		}
		children[fmt.Sprintf("containerd.io/gc.ref.content.l.%d", index)] = layer.Digest
	}
	if err := s.write(leased, source, source.config, nil); err != nil {
		return err
	}
	if err := s.write(leased, source, source.manifest, children); err != nil {
		return err
	}
	return s.name(leased, source.manifest, name)
}

// name makes or moves the record that a reference is found by.
func (s *store) name(ctx context.Context, target descriptor, name string) error {
	image := &imagesapi.Image{
		Name:   name,
		Target: &types.Descriptor{MediaType: target.MediaType, Digest: target.Digest, Size: target.Size},
	}
	_, err := s.images.Create(ctx, &imagesapi.CreateImageRequest{Image: image})
	if status.Code(err) == codes.AlreadyExists {
		_, err = s.images.Update(ctx, &imagesapi.UpdateImageRequest{Image: image})
	}
	if err != nil {
		return fmt.Errorf("image %s: %w", name, err)
	}
	return nil
}

// write sends one blob; labels say what it refers to, so that the collector keeps that with it.
func (s *store) write(ctx context.Context, source *archive, wanted descriptor, labels map[string]string) error {
	blob, err := source.blob(wanted)
	if err != nil {
		return err
	}
	err = s.send(ctx, blob, wanted, labels)
	if status.Code(err) == codes.AlreadyExists {
		return nil
	}
	if err != nil {
		return fmt.Errorf("blob %s: %w", wanted.Digest, err)
	}
	return nil
}

func (s *store) send(ctx context.Context, blob io.Reader, wanted descriptor, labels map[string]string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.content.Write(ctx)
	if err != nil {
		return err
	}
	request := contentapi.WriteContentRequest{Total: wanted.Size, Expected: wanted.Digest}
	ask := func(action contentapi.WriteAction, offset int64, data []byte) (*contentapi.WriteContentResponse, error) {
		request := contentapi.WriteContentRequest{
			Action: action, Ref: "image-service-" + wanted.Digest, Total: request.Total, Expected: request.Expected,
			Offset: offset, Data: data, Labels: maps.Clone(labels),
		}
		if err := stream.Send(&request); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return stream.Recv()
	}
	at, err := ask(contentapi.WriteAction_STAT, 0, nil)
	if err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, blob, at.Offset); err != nil {
		return err
	}
	offset, part := at.Offset, make([]byte, chunk)
	for {
		read, err := io.ReadFull(blob, part)
		if read > 0 {
			if _, err := ask(contentapi.WriteAction_WRITE, offset, part[:read]); err != nil {
				return err
			}
			offset += int64(read)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	_, err = ask(contentapi.WriteAction_COMMIT, offset, nil)
	return err
}
