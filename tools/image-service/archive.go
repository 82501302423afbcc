package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const blobs = "blobs/sha256/"

// descriptor is OCI's: what a blob is, its digest and size.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// archive is an OCI layout in a tar file, with one image in it.
type archive struct {
	file     *os.File
	offsets  map[string]int64
	manifest descriptor
	config   descriptor
	layers   []descriptor
}

// openArchive reads the index of an archive; its blobs stay in the file.
func openArchive(path string) (*archive, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	made := &archive{file: file, offsets: map[string]int64{}}
	if err := made.read(); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return made, nil
}

func (a *archive) Close() error { return a.file.Close() }

func (a *archive) read() error {
	var index struct {
		Manifests []descriptor `json:"manifests"`
	}
	reader := tar.NewReader(a.file)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if header.Name == "index.json" {
			if err := json.NewDecoder(reader).Decode(&index); err != nil {
				return err
			}
		}
		if digest, isBlob := strings.CutPrefix(header.Name, blobs); isBlob {
			// The reader stands at the entry's first byte: it reads no further than headers by itself.
			if a.offsets["sha256:"+digest], err = a.file.Seek(0, io.SeekCurrent); err != nil {
				return err
			}
		}
	}
	if len(index.Manifests) != 1 {
		return fmt.Errorf("%d images where one is expected", len(index.Manifests))
	}
	a.manifest = index.Manifests[0]
	var manifest struct {
		Config descriptor   `json:"config"`
		Layers []descriptor `json:"layers"`
	}
	blob, err := a.blob(a.manifest)
	if err != nil {
		return err
	}
	if err := json.NewDecoder(blob).Decode(&manifest); err != nil {
		return err
	}
	a.config, a.layers = manifest.Config, manifest.Layers
	return nil
}

// blob reads what a descriptor names.
func (a *archive) blob(wanted descriptor) (io.Reader, error) {
	offset, there := a.offsets[wanted.Digest]
	if !there {
		return nil, fmt.Errorf("no blob %s", wanted.Digest)
	}
	return io.NewSectionReader(a.file, offset, wanted.Size), nil
}
