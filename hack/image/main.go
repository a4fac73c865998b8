// Command image packs the static binaries of cmd/ into container images without a Docker daemon, a registry or a base image, and writes for
// each what it is made of. From the same binary it makes the same bytes, wherever and whenever it runs.
//
//	image -version v0.1.0 -registry ghcr.io/tiktok-operator -out bin/images bin/linux-amd64/manager bin/linux-arm64/manager
//
// For each binary it writes linux-ARCH/NAME.tar, which docker load, podman load and ctr images import take, and linux-ARCH/NAME.cdx.json, a bill
// of materials in CycloneDX's form. For each name it writes oci/NAME, an OCI layout with the image of every architecture, which skopeo, crane,
// regctl and oras copy to a registry as it is: the digest there is the one that is printed here.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	fs := flag.NewFlagSet("image", flag.ContinueOnError)
	version := fs.String("version", "dev", "version of the binaries, and tag of the images")
	registry := fs.String("registry", "ghcr.io/tiktok-operator", "registry and path that the images are named for")
	out := fs.String("out", filepath.Join("bin", "images"), "folder to write to")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return errors.New("name the binaries to pack, such as bin/linux-amd64/manager")
	}
	return packAll(fs.Args(), *registry, *version, *out)
}

func packAll(binaries []string, registry, version, out string) error {
	images := make(map[string][]v1.Image)
	for _, binary := range binaries {
		img, err := pack(binary, registry, version, out)
		if err != nil {
			return fmt.Errorf("packing %s: %w", binary, err)
		}
		title := filepath.Base(binary)
		images[title] = append(images[title], img)
	}
	for _, title := range slices.Sorted(maps.Keys(images)) {
		folder := filepath.Join(out, "oci", title)
		digest, err := writeLayout(folder, version, images[title])
		if err != nil {
			return fmt.Errorf("writing %s: %w", folder, err)
		}
		fmt.Println(folder, registry+"/"+title+":"+version, digest)
	}
	return nil
}

// pack writes the archive and the bill of materials of one binary.
func pack(binary, registry, version, out string) (v1.Image, error) {
	title := filepath.Base(binary)
	img, err := build(binary, title, version)
	if err != nil {
		return nil, err
	}
	tag, err := name.NewTag(registry+"/"+title+":"+version, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("naming the image: %w", err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the image's description: %w", err)
	}
	folder := filepath.Join(out, config.OS+"-"+config.Architecture)
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	archive := filepath.Join(folder, title+".tar")
	if err := tarball.WriteToFile(archive, tag, img); err != nil {
		return nil, fmt.Errorf("writing the image: %w", err)
	}
	if err := writeBill(binary, title, version, filepath.Join(folder, title+".cdx.json")); err != nil {
		return nil, err
	}
	id, err := img.ConfigName()
	if err != nil {
		return nil, fmt.Errorf("reading the image's id: %w", err)
	}
	fmt.Println(archive, tag, id)
	return img, nil
}

// writeLayout writes an OCI layout that has one index, of the images of all architectures, and returns the index's digest. What the folder had before
// is gone: a layout keeps whatever was ever put into it.
func writeLayout(folder, version string, images []v1.Image) (v1.Hash, error) {
	if err := os.RemoveAll(folder); err != nil {
		return v1.Hash{}, err
	}
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return v1.Hash{}, err
	}
	// In the words and the order of the specification's own type: skopeo writes an index anew, and with another order it would have another digest.
	index := oci.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: oci.MediaTypeImageIndex}
	for _, img := range images {
		if err := path.WriteImage(img); err != nil {
			return v1.Hash{}, err
		}
		part, err := partial.Descriptor(img)
		if err != nil {
			return v1.Hash{}, err
		}
		config, err := img.ConfigFile()
		if err != nil {
			return v1.Hash{}, err
		}
		index.Manifests = append(index.Manifests, oci.Descriptor{
			MediaType: string(part.MediaType), Digest: digest.Digest(part.Digest.String()), Size: part.Size,
			Platform: &oci.Platform{Architecture: config.Architecture, OS: config.OS},
		})
	}
	text, err := json.Marshal(index)
	if err != nil {
		return v1.Hash{}, err
	}
	hash, size, err := v1.SHA256(bytes.NewReader(text))
	if err != nil {
		return v1.Hash{}, err
	}
	if err := path.WriteBlob(hash, io.NopCloser(bytes.NewReader(text))); err != nil {
		return v1.Hash{}, err
	}
	return hash, path.AppendDescriptor(v1.Descriptor{
		MediaType: types.OCIImageIndex, Size: size, Digest: hash, Annotations: map[string]string{oci.AnnotationRefName: version},
	})
}
