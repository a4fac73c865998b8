// Package access decides who may use the private HTTP API: a bearer token becomes a user by TokenReview, and what the user may do is asked
// with a SubjectAccessReview on a virtual subresource of tiktokchannels. The cluster's own tokens and roles are all there is to manage.
//
// It keeps answers for seconds, under a digest of the token; the token itself is neither kept nor logged. It knows nothing of what the API
// does.
package access

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create
