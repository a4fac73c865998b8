// Package v1alpha1 is the public API of tiktok-operator: the kinds TiktokApp and TiktokChannel, their validation rules, and the
// condition types, reasons, labels and annotations that users and other programs may rely on.
//
// It holds schema and small accessors only. It does no I/O and imports nothing of the project.
//
// +kubebuilder:object:generate=true
// +groupName=channels.tiktok-operator.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of every kind in this package.
const Group = "channels.tiktok-operator.io"

// GroupVersion is the group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

// Kinds served by this package.
const (
	TiktokAppKind     = "TiktokApp"
	TiktokChannelKind = "TiktokChannel"
)

// AddToScheme adds every kind of this package to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &TiktokApp{}, &TiktokAppList{}, &TiktokChannel{}, &TiktokChannelList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
