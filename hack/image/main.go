// Command image packs the static binaries of cmd/ into container images without a Docker daemon, a registry or a base image, and writes for
// each what it is made of. From the same binary it makes the same bytes, wherever and whenever it runs.
//
//	image -version v0.1.0 -registry ghcr.io/tiktok-operator -out bin/images bin/manager bin/webhook
//
// For each binary it writes NAME.tar, which docker load, podman load and ctr images import take, and NAME.cdx.json, a bill of materials in
// CycloneDX's form.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
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
		return errors.New("name the binaries to pack, such as bin/manager")
	}
	if err := os.MkdirAll(*out, 0o750); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	for _, binary := range fs.Args() {
		if err := pack(binary, *registry, *version, *out); err != nil {
			return fmt.Errorf("packing %s: %w", binary, err)
		}
	}
	return nil
}

func pack(binary, registry, version, out string) error {
	title := filepath.Base(binary)
	img, err := build(binary, title, version)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(registry+"/"+title+":"+version, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("naming the image: %w", err)
	}
	archive := filepath.Join(out, title+".tar")
	if err := tarball.WriteToFile(archive, tag, img); err != nil {
		return fmt.Errorf("writing the image: %w", err)
	}
	if err := writeBill(binary, title, version, filepath.Join(out, title+".cdx.json")); err != nil {
		return err
	}
	digest, err := img.ConfigName()
	if err != nil {
		return fmt.Errorf("reading the image's id: %w", err)
	}
	fmt.Println(archive, tag, digest)
	return nil
}
