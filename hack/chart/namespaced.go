package main

import (
	"bytes"
	"fmt"
	"os"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// What config/default calls things.
const (
	prefix    = "tiktok-operator-"
	namespace = "tiktok-operator-system"
)

// Files of kustomize for an operator that serves some namespaces only: smaller roles, which replace those of config/default; roles for the
// namespace default, in which Kubernetes keeps Events about objects that are in none, such as TiktokApps; and those of one namespace of channels.
const (
	smallerRoles  = "config/components/watch-namespaces/roles.yaml"
	eventRoles    = "config/components/watch-namespaces/event_roles.yaml"
	channelsRoles = "config/channels-namespace/roles.yaml"
)

func writeNamespaced(all map[string]*rules) error {
	objects := map[string][]any{}
	for _, binary := range []string{"manager", "webhook"} {
		of := all[binary]
		// The app's secret and the keys of authorization links are in the operator's own namespace.
		secrets := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"create", "get", "update"}}
		events := rbacv1.PolicyRule{APIGroups: []string{"", "events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}}
		objects[smallerRoles] = append(objects[smallerRoles],
			role("ClusterRole", prefix+binary+"-role", "", of.Cluster), role("Role", prefix+binary+"-role", namespace, append(of.Own, secrets)))
		objects[eventRoles] = append(objects[eventRoles],
			role("Role", prefix+binary+"-events", "default", []rbacv1.PolicyRule{events}), binding(binary, prefix+binary+"-events", "default"))
		objects[channelsRoles] = append(objects[channelsRoles],
			role("Role", prefix+binary+"-channels", "", of.Channels), binding(binary, prefix+binary+"-channels", ""))
	}
	for path, list := range objects {
		out := bytes.NewBufferString("# Generated from the markers in the code by make manifests.\n")
		for _, object := range list {
			text, err := yaml.Marshal(object)
			if err != nil {
				return fmt.Errorf("encoding a role: %w", err)
			}
			out.WriteString("---\n")
			out.Write(text)
		}
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil { //nolint:gosec // read by kustomize
			return fmt.Errorf("writing roles: %w", err)
		}
	}
	return nil
}

// anyRole is a Role or a ClusterRole.
type anyRole struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        map[string]string   `json:"metadata"`
	Rules           []rbacv1.PolicyRule `json:"rules"`
}

func role(kind, name, namespace string, rules []rbacv1.PolicyRule) anyRole {
	return anyRole{
		TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}, Metadata: metadata(name, namespace), Rules: rules,
	}
}

// roleBinding is a RoleBinding.
type roleBinding struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        map[string]string `json:"metadata"`
	RoleRef         rbacv1.RoleRef    `json:"roleRef"`
	Subjects        []rbacv1.Subject  `json:"subjects"`
}

func binding(binary, name, in string) roleBinding {
	return roleBinding{
		TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"}, Metadata: metadata(name, in),
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: prefix + binary, Namespace: namespace}},
	}
}

func metadata(name, namespace string) map[string]string {
	m := map[string]string{"name": name}
	if namespace != "" {
		m["namespace"] = namespace
	}
	return m
}
