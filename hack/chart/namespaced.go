package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
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

// narrow says what an operator that serves some namespaces only needs outside of these. Where it serves all, the rules about channels cover it.
func narrow(all map[string]*rules) {
	secrets := func(names []string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: names, Verbs: verbs}
	}
	// Both read the apps' secrets and the keys of authorization links in the operator's own namespace. The manager makes and rotates the keys.
	all["webhook"].OwnSecrets = []rbacv1.PolicyRule{secrets(nil, "get")}
	all["manager"].OwnSecrets = []rbacv1.PolicyRule{secrets(nil, "create", "get"), secrets([]string{tickets.SecretName}, "update")}
	// The manager alone tells of TiktokApps, which are in no namespace: Kubernetes keeps such Events in the namespace default.
	all["manager"].Events = []rbacv1.PolicyRule{
		{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
	}
}

func writeNamespaced(all map[string]*rules) error {
	objects := map[string][]any{}
	for _, binary := range []string{"manager", "webhook"} {
		of := all[binary]
		objects[smallerRoles] = append(objects[smallerRoles],
			role("ClusterRole", prefix+binary+"-role", "", of.Cluster),
			role("Role", prefix+binary+"-role", namespace, slices.Concat(of.Own, of.OwnSecrets)))
		if len(of.Events) > 0 {
			objects[eventRoles] = append(objects[eventRoles],
				role("Role", prefix+binary+"-events", "default", of.Events), binding(binary, prefix+binary+"-events", "default"))
		}
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
