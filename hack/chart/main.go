// Command chart copies into the Helm chart what it shares with kustomize: CRDs, roles, alerts and the dashboard. The chart's templates read
// them from its folder files, so that the two ways to install cannot drift apart. Roles for an operator that serves some namespaces only it
// makes for both.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

const files = "charts/tiktok-operator/files"

// copies are the files that the chart takes as they are, by their folder in it.
var copies = map[string]string{
	"config/crd/bases/*.yaml":                "crds",
	"config/rbac/channel_*_role.yaml":        "roles",
	"config/monitoring/prometheus_rule.yaml": ".",
	"config/monitoring/dashboard.json":       ".",
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run() error {
	if err := os.RemoveAll(files); err != nil {
		return fmt.Errorf("removing the files of the last time: %w", err)
	}
	for pattern, folder := range copies {
		if err := copyAll(pattern, filepath.Join(files, folder)); err != nil {
			return err
		}
	}
	return writeRules()
}

func copyAll(pattern, folder string) error {
	sources, err := filepath.Glob(pattern)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", pattern, err)
	}
	if len(sources) == 0 {
		return fmt.Errorf("there is no %s", pattern)
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			return fmt.Errorf("reading %s: %w", source, err)
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(source)), text, 0o644); err != nil { //nolint:gosec // part of a package
			return fmt.Errorf("writing: %w", err)
		}
	}
	return nil
}

// rules are what one deployment may do, by where its objects are.
type rules struct {
	// Cluster holds rules about kinds that are in no namespace.
	Cluster []rbacv1.PolicyRule `json:"cluster"`
	// Channels holds rules about the namespaces of channels.
	Channels []rbacv1.PolicyRule `json:"channels"`
	// Own holds rules about the operator's own namespace.
	Own []rbacv1.PolicyRule `json:"own"`
	// OwnSecrets and Events are for an operator that serves some namespaces only: see narrow.
	OwnSecrets []rbacv1.PolicyRule `json:"ownSecrets"`
	Events     []rbacv1.PolicyRule `json:"events,omitempty"`
}

// clusterScoped are the resources that are in no namespace. Of namespaces each is in itself, as far as permissions go.
var clusterScoped = []string{"tiktokapps", "tokenreviews", "subjectaccessreviews"}

func writeRules() error {
	all := map[string]*rules{}
	for _, binary := range []string{"manager", "webhook"} {
		r, err := readRules(filepath.Join("config", "rbac", binary+"_role.yaml"))
		if err != nil {
			return err
		}
		all[binary] = r
	}
	narrow(all)
	text, err := yaml.Marshal(all)
	if err != nil {
		return fmt.Errorf("encoding the rules: %w", err)
	}
	if err := os.WriteFile(filepath.Join(files, "rules.yaml"), text, 0o644); err != nil { //nolint:gosec // part of a package
		return fmt.Errorf("writing the rules: %w", err)
	}
	return writeNamespaced(all)
}

func readRules(path string) (*rules, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	out := &rules{}
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		role := struct {
			Kind  string              `json:"kind"`
			Rules []rbacv1.PolicyRule `json:"rules"`
		}{}
		if err := yaml.Unmarshal(document, &role); err != nil {
			return nil, fmt.Errorf("decoding %s: %w", path, err)
		}
		switch role.Kind {
		case "Role":
			out.Own = append(out.Own, role.Rules...)
		case "ClusterRole":
			for _, rule := range role.Rules {
				cluster, channels := split(rule)
				out.Cluster, out.Channels = append(out.Cluster, cluster...), append(out.Channels, channels...)
			}
		}
	}
	if len(out.Cluster) == 0 || len(out.Channels) == 0 || len(out.Own) == 0 {
		return nil, errors.New(path + " lacks rules: has its form changed?")
	}
	return out, nil
}

// split parts a rule by where its resources are.
func split(rule rbacv1.PolicyRule) (cluster, channels []rbacv1.PolicyRule) {
	var in, out []string
	for _, resource := range rule.Resources {
		kind, _, _ := strings.Cut(resource, "/")
		if slices.Contains(clusterScoped, kind) {
			in = append(in, resource)
		} else {
			out = append(out, resource)
		}
	}
	if len(in) > 0 {
		cluster = append(cluster, rbacv1.PolicyRule{APIGroups: rule.APIGroups, Resources: in, Verbs: rule.Verbs})
	}
	if len(out) > 0 {
		channels = append(channels, rbacv1.PolicyRule{APIGroups: rule.APIGroups, Resources: out, Verbs: rule.Verbs})
	}
	return cluster, channels
}
