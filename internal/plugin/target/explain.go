package target

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// permissions say, by resource, who may do what commands do with it. What exactly was refused is in the API server's own sentence.
var permissions = map[string]string{
	"tiktokchannels": "the ClusterRole …-channel-viewer, part of view, reads channels; …-channel-editor, part of edit, changes them",
	"secrets":        "an import gets, creates and patches one Secret of the channel's namespace",
	"pods": "the port-forward to the private API lists pods and creates pods/portforward in the operator's namespace; " +
		"--api-url goes without where the API has an address",
	"serviceaccounts": "--as-service-account creates serviceaccounts/token in the channel's namespace",
}

// Explain adds to an error what its reader can do about it.
func Explain(err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsForbidden(err) {
		return err
	}
	details := status.Status().Details
	if details == nil || (details.Group != "" && details.Group != v1alpha1.Group) || permissions[details.Kind] == "" {
		return err
	}
	return fmt.Errorf("%w\n  %s", err, permissions[details.Kind])
}
