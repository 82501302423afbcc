package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/distribution/reference"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	knownWithin = 20 * time.Second // until the CRI plug-in has seen a new record; it takes milliseconds
	knownPause  = 20 * time.Millisecond
	beginWithin = 90 * time.Second // containerd may still be starting
)

// service answers a kubelet's questions about images: pulls from the table's archives, the rest from containerd itself.
type service struct {
	runtime.UnimplementedImageServiceServer
	images runtime.ImageServiceClient
	store  *store
	table  string
	pulls  sync.Mutex
}

// repository is a reference as containerd's CRI plug-in stores it, and the names its repository goes by.
func repository(asked string) (normalised string, names []string, err error) {
	named, err := reference.ParseDockerRef(asked)
	if err != nil {
		return "", nil, err
	}
	return named.String(), []string{named.Name(), reference.FamiliarName(named)}, nil
}

// begin brings one image that nobody asks for; what the table has not is left out.
func (s *service) begin(wanted string) error {
	ctx, cancel := context.WithTimeout(context.Background(), beginWithin)
	defer cancel()
	asked := &runtime.PullImageRequest{Image: &runtime.ImageSpec{Image: wanted}}
	if _, err := s.PullImage(ctx, asked); err != nil && status.Code(err) != codes.NotFound {
		return err
	}
	return nil
}

// PullImage brings the archive of the asked repository into containerd and gives it the asked reference, whatever tag or digest.
func (s *service) PullImage(ctx context.Context, asked *runtime.PullImageRequest) (*runtime.PullImageResponse, error) {
	wanted := asked.GetImage().GetImage()
	name, names, err := repository(wanted)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "image reference %q: %v", wanted, err)
	}
	rows, err := readTable(s.table)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "the table of images cannot be read: %v", err)
	}
	path := rows.archive(names...)
	if path == "" {
		return nil, status.Errorf(codes.NotFound, "no image of this sandbox stands for the repository %s", names[0])
	}
	s.pulls.Lock() // two writers of one blob would refuse each other
	defer s.pulls.Unlock()
	source, err := openArchive(path)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "the archive for %s cannot be read: %v", names[0], err)
	}
	defer func() { _ = source.Close() }()
	if err := s.store.bring(ctx, source, name); err != nil {
		return nil, status.Errorf(codes.Internal, "containerd does not take %s: %v", name, err)
	}
	if err := s.known(ctx, wanted, source.config.Digest); err != nil {
		return nil, err
	}
	return &runtime.PullImageResponse{ImageRef: source.config.Digest}, nil
}

// known waits until the CRI plug-in, which learns of records by events, answers for the reference.
func (s *service) known(ctx context.Context, wanted, id string) error {
	ctx, cancel := context.WithTimeout(ctx, knownWithin)
	defer cancel()
	for {
		answer, err := s.images.ImageStatus(ctx, &runtime.ImageStatusRequest{Image: &runtime.ImageSpec{Image: wanted}})
		if err == nil && answer.GetImage().GetId() == id {
			return nil
		}
		select {
		case <-ctx.Done():
			return status.Error(codes.DeadlineExceeded, fmt.Sprintf("containerd took %s and does not know it: %v", wanted, err))
		case <-time.After(knownPause):
		}
	}
}

// ListImages is containerd's.
func (s *service) ListImages(ctx context.Context, asked *runtime.ListImagesRequest) (*runtime.ListImagesResponse, error) {
	return s.images.ListImages(ctx, asked)
}

// ImageStatus is containerd's.
func (s *service) ImageStatus(ctx context.Context, asked *runtime.ImageStatusRequest) (*runtime.ImageStatusResponse, error) {
	return s.images.ImageStatus(ctx, asked)
}

// RemoveImage is containerd's.
func (s *service) RemoveImage(ctx context.Context, asked *runtime.RemoveImageRequest) (*runtime.RemoveImageResponse, error) {
	return s.images.RemoveImage(ctx, asked)
}

// ImageFsInfo is containerd's.
func (s *service) ImageFsInfo(ctx context.Context, asked *runtime.ImageFsInfoRequest) (*runtime.ImageFsInfoResponse, error) {
	return s.images.ImageFsInfo(ctx, asked)
}
