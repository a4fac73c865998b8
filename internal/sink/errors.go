package sink

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// WaitsForPerson says that an error of Resolve is one that a person has to mend. Any other means that the API server did not tell.
func WaitsForPerson(err error) bool {
	return errors.As(err, new(*ServiceNotFoundError)) || errors.As(err, new(*SecretNotFoundError)) || errors.As(err, new(*InvalidError))
}

// ServiceNotFoundError says that a sink's Service, or its port, is not there or cannot be used. Its text is a sentence for a condition.
type ServiceNotFoundError struct{ Sink, Namespace, Name, Problem string }

// Error implements error.
func (e *ServiceNotFoundError) Error() string {
	return fmt.Sprintf("Sink %q: the Service %s/%s %s.", e.Sink, e.Namespace, e.Name, e.Problem)
}

// SecretNotFoundError says that a sink's Secret, or its key, is not there or cannot be used. Its text is a sentence for a condition and holds
// nothing of the Secret's content.
type SecretNotFoundError struct{ Sink, Namespace, Name, Key, Problem string }

// Error implements error.
func (e *SecretNotFoundError) Error() string {
	return fmt.Sprintf("Sink %q: the key %q of Secret %s/%s %s.", e.Sink, e.Key, e.Namespace, e.Name, e.Problem)
}

// ForbiddenError says that the API server does not let the operator read what a sink needs. Its text is a sentence for a condition.
type ForbiddenError struct {
	Sink, Kind, Namespace, Name string
	// Err is what the API server said.
	Err error
}

// Error implements error.
func (e *ForbiddenError) Error() string { return fmt.Sprintf("Sink %q: %s.", e.Sink, e.Problem()) }

// Problem is what is wrong, without the sink's name.
func (e *ForbiddenError) Problem() string {
	return fmt.Sprintf("the operator may not read the %s %s/%s: %v", e.Kind, e.Namespace, e.Name, e.Err)
}

// Unwrap returns what the API server said.
func (e *ForbiddenError) Unwrap() error { return e.Err }

// unread is the error for what a sink needs and the API server did not give.
func unread(sink, kind, namespace, name string, err error) error {
	if apierrors.IsForbidden(err) {
		return &ForbiddenError{Sink: sink, Kind: kind, Namespace: namespace, Name: name, Err: err}
	}
	return fmt.Errorf("reading %s %s/%s of sink %q: %w", kind, namespace, name, sink, err)
}

// InvalidError says that a sink's spec cannot be used. The schema admits hardly any such. Its text is a sentence for a condition.
type InvalidError struct{ Sink, Problem string }

// Error implements error.
func (e *InvalidError) Error() string { return fmt.Sprintf("Sink %q: %s.", e.Sink, e.Problem) }

// AddressError says that a sink's URI, or its Service, leads to an address that may not be dialled. Its text is a sentence for a condition.
type AddressError struct {
	Address, Kind string
	// Service means that the sink is a Service.
	Service bool
}

// Error implements error.
func (e *AddressError) Error() string {
	if e.Service {
		return fmt.Sprintf("the address %s is %s: no Service of a sink may lead there", e.Address, e.Kind)
	}
	return fmt.Sprintf("the address %s is %s: sinks with a uri must be public (use ref for a Service of the cluster, or run the operator with "+
		"--allow-private-sinks)", e.Address, e.Kind)
}
