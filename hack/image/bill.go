package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// writeBill writes the modules that a binary says it was built from.
func writeBill(binary, title, version, path string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("reading what the binary was built from: %w", err)
	}
	bill := cdx.NewBOM()
	root := component(cdx.ComponentTypeApplication, title, version, programURL(info, version))
	bill.Metadata = &cdx.Metadata{Component: &root}
	parts := []cdx.Component{component(cdx.ComponentTypeLibrary, "std", info.GoVersion, "pkg:golang/std@"+info.GoVersion)}
	var on []string
	for _, module := range info.Deps {
		parts = append(parts, library(module))
	}
	for _, part := range parts {
		on = append(on, part.BOMRef)
	}
	bill.Components = &parts
	bill.Dependencies = &[]cdx.Dependency{{Ref: root.BOMRef, Dependencies: &on}}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("making the bill of materials: %w", err)
	}
	defer file.Close()
	if err := cdx.NewBOMEncoder(file, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bill); err != nil {
		return fmt.Errorf("writing the bill of materials: %w", err)
	}
	return file.Close()
}

// programURL names a program as a part of its module, as package URLs have it.
func programURL(info *buildinfo.BuildInfo, version string) string {
	url := "pkg:golang/" + info.Main.Path + "@" + version
	if folder, inside := strings.CutPrefix(info.Path, info.Main.Path+"/"); inside {
		url += "#" + folder
	}
	return url
}

func library(module *debug.Module) cdx.Component {
	if module.Replace != nil {
		module = module.Replace
	}
	c := component(cdx.ComponentTypeLibrary, module.Path, module.Version, "pkg:golang/"+module.Path+"@"+module.Version)
	if module.Sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: module.Sum}}
	}
	return c
}

func component(kind cdx.ComponentType, title, version, purl string) cdx.Component {
	return cdx.Component{BOMRef: purl, Type: kind, Name: title, Version: version, PackageURL: purl}
}
