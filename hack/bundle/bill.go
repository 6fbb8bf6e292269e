package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"

	"github.com/dipcast/dipcast/hack/images/oci"
)

// subject is what a bill of materials is about.
type subject struct {
	name, version, arch string
	digest              string // SHA-256, hexadecimal
	container           bool
	created             time.Time
}

// billOf lists the modules that a program was linked of, as the compiler wrote
// them into it: in the form CycloneDX, JSON.
func billOf(s subject, binary []byte) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return nil, fmt.Errorf("bill of materials of %s: %w", s.name, err)
	}
	main := s.component(info)
	components := []cyclonedx.Component{module("std", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, dep := range info.Deps {
		if dep.Replace != nil && !strings.HasPrefix(dep.Replace.Path, ".") { // else by a folder, which has no name elsewhere
			dep = dep.Replace
		}
		components = append(components, module(dep.Path, dep.Version))
	}
	needs := make([]string, 0, len(components))
	for _, c := range components {
		needs = append(needs, c.BOMRef)
	}
	bom := cyclonedx.NewBOM()
	bom.SerialNumber = serial(s)
	bom.Metadata = &cyclonedx.Metadata{Timestamp: s.created.UTC().Format(time.RFC3339), Component: &main}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: main.BOMRef, Dependencies: &needs}}
	var b bytes.Buffer
	err = cyclonedx.NewBOMEncoder(&b, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom)
	return b.Bytes(), err
}

func (s subject) component(info *debug.BuildInfo) cyclonedx.Component {
	c := cyclonedx.Component{
		BOMRef: s.name + "-" + s.arch, Type: cyclonedx.ComponentTypeApplication, Name: s.name, Version: s.version,
		PackageURL: packageURL(info.Main.Path, s.version),
		Hashes:     &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: s.digest}},
		Licenses:   &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}},
		ExternalReferences: &[]cyclonedx.ExternalReference{
			{Type: cyclonedx.ERTypeVCS, URL: oci.Source},
		},
	}
	if s.container {
		c.Type = cyclonedx.ComponentTypeContainer
		c.PackageURL = fmt.Sprintf("pkg:oci/%s@sha256%%3A%s?arch=%s&tag=%s",
			lastPart(s.name), s.digest, s.arch, url.QueryEscape(s.version))
	}
	return c
}

func lastPart(reference string) string {
	name, _, _ := strings.Cut(reference[strings.LastIndex(reference, "/")+1:], ":")
	return name
}

func module(path, version string) cyclonedx.Component {
	purl := packageURL(path, version)
	return cyclonedx.Component{BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl}
}

func packageURL(path, version string) string {
	return "pkg:golang/" + path + "@" + url.PathEscape(version)
}

// serial is a UUID that follows from what the bill is about: a bill of the
// same thing is the same bill.
func serial(s subject) string {
	sum := sha256.Sum256([]byte(s.name + "\n" + s.version + "\n" + s.arch + "\n" + s.digest))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // version 8: made by a rule of our own
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
