package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nobody runs the binaries: by number, so that runAsNonRoot can be checked without a passwd file.
const nobody = 65532

// epoch is when everything was made: with the time of the day in it, no two images would be the same.
var epoch = v1.Time{Time: time.Unix(0, 0).UTC()}

// folders are those of the image. Those that volumes are mounted on are nobody's: an engine that makes a volume from the image keeps their owner.
var folders = []string{
	"etc", "etc/ssl", "etc/ssl/certs", "var", "var/lib", "var/lib/tiktok-operator", "var/run", "var/run/tiktok-operator",
	"var/run/tiktok-operator/journal",
}

// build makes the image that the Dockerfile makes too: the binary at /entrypoint, whom to trust, and the folders that volumes are mounted on.
func build(binary, title, version string) (v1.Image, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("reading the binary: %w", err)
	}
	arch, err := architecture(content)
	if err != nil {
		return nil, err
	}
	layer, err := layerOf(content)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{Created: epoch, CreatedBy: "hack/image"}})
	if err != nil {
		return nil, fmt.Errorf("adding the layer: %w", err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the image's description: %w", err)
	}
	config = config.DeepCopy()
	config.Architecture, config.OS, config.Created = arch, "linux", epoch
	config.Config = v1.Config{
		User: fmt.Sprintf("%d:%d", nobody, nobody), Entrypoint: []string{"/entrypoint"},
		Labels: map[string]string{
			"org.opencontainers.image.title":         "tiktok-operator " + title,
			"org.opencontainers.image.description":   "Kubernetes-native TikTok Business Messaging",
			"org.opencontainers.image.source":        "https://github.com/tiktok-operator/tiktok-operator",
			"org.opencontainers.image.documentation": "https://github.com/tiktok-operator/tiktok-operator/tree/main/docs",
			"org.opencontainers.image.vendor":        "The tiktok-operator Authors",
			"org.opencontainers.image.licenses":      "Apache-2.0",
			"org.opencontainers.image.version":       version,
		},
	}
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		return nil, fmt.Errorf("describing the image: %w", err)
	}
	return img, nil
}

// architecture is what the binary says that it was built for: an image that says another one would end on its node with "exec format error".
func architecture(binary []byte) (string, error) {
	file, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return "", fmt.Errorf("the binary is not one for Linux: build it with GOOS=linux: %w", err)
	}
	defer func() { _ = file.Close() }()
	switch file.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	default:
		return "", fmt.Errorf("the binary is for %s, for which there are no images: amd64 and arm64 are", file.Machine)
	}
}

func layerOf(binary []byte) (v1.Layer, error) {
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	for _, folder := range folders {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755, ModTime: epoch.Time, Format: tar.FormatPAX}
		if base := path.Base(folder); base == "tiktok-operator" || base == "journal" {
			header.Uid, header.Gid = nobody, nobody
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("writing a folder: %w", err)
		}
	}
	for _, file := range []struct {
		name    string
		mode    int64
		content []byte
	}{{"etc/ssl/certs/ca-certificates.crt", 0o644, authorities()}, {"entrypoint", 0o755, binary}} {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: file.name, Mode: file.mode, Size: int64(len(file.content)), ModTime: epoch.Time, Format: tar.FormatPAX,
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("writing a file: %w", err)
		}
		if _, err := w.Write(file.content); err != nil {
			return nil, fmt.Errorf("writing a file: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("ending the layer: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("making the layer: %w", err)
	}
	return layer, nil
}

// authorities are Mozilla's, as the Go project keeps them: the machine that builds may trust others.
func authorities() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a bytes.Buffer takes everything
	}
	return text.Bytes()
}
