// Package sink finds out where and with what credentials a channel's sink is delivered to, and which addresses may be dialled for it. The
// manager uses it for the condition SinksResolved, the dispatcher for each delivery, so that both say the same.
//
// It delivers nothing and keeps nothing: Services and Secrets are read each time, by name.
package sink

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// Sinks of channels are Services, and Secrets of the channel's namespace, read by name.
//
// +kubebuilder:rbac:groups="",resources=services;secrets,verbs=get

// Target is where, and with what credentials, a sink is delivered to.
type Target struct {
	// URL of the request. Its path and query may be secret: log Origin.
	URL *url.URL
	// Guarded means that only addresses that Guard lets pass may be dialled: the sink is a URI. Else it is a Service, and GuardService is asked.
	Guarded bool
	// Address is the Service's own, to be dialled in place of the URL's host, which DNS may lead elsewhere by then. It is not valid where the
	// Service has none (it is headless), and for URIs.
	Address netip.Addr
	// SigningKey signs deliveries; nil if they are not signed.
	SigningKey *SigningKey
	// BearerToken is sent as Authorization; "" if none is.
	BearerToken tiktok.Secret
}

// Origin is the URL's scheme, host and port: what may be logged of it.
func (t Target) Origin() string { return t.URL.Scheme + "://" + t.URL.Host }

// Resolve finds a sink's target. Errors: *ServiceNotFoundError, *SecretNotFoundError and *InvalidError, which wait for a person, and *ForbiddenError
// are sentences for a condition; any other means that the API server could not be asked.
func Resolve(ctx context.Context, reader client.Reader, ch *v1alpha1.TiktokChannel, s *v1alpha1.Sink) (Target, error) {
	var t Target
	var err error
	switch {
	case s.Ref != nil:
		t.URL, t.Address, err = serviceURL(ctx, reader, ch.Namespace, s)
	case s.URI != "":
		t.Guarded = true
		t.URL, err = uriURL(s)
	default:
		return Target{}, &InvalidError{Sink: s.Name, Problem: "it has neither ref nor uri"}
	}
	if err != nil {
		return Target{}, err
	}
	if t.SigningKey, err = signingKey(ctx, reader, ch.Namespace, s); err != nil {
		return Target{}, err
	}
	if t.BearerToken, err = bearerToken(ctx, reader, ch.Namespace, s); err != nil {
		return Target{}, err
	}
	return t, nil
}

func serviceURL(ctx context.Context, reader client.Reader, namespace string, s *v1alpha1.Sink) (*url.URL, netip.Addr, error) {
	var service corev1.Service
	if err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: s.Ref.Name}, &service); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, netip.Addr{}, &ServiceNotFoundError{
				Sink: s.Name, Namespace: namespace, Name: s.Ref.Name, Problem: "does not exist: create it, or correct the sink's ref",
			}
		}
		return nil, netip.Addr{}, unread(s.Name, "Service", namespace, s.Ref.Name, err)
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		// It would lead anywhere, past the guard.
		return nil, netip.Addr{}, &ServiceNotFoundError{
			Sink: s.Name, Namespace: namespace, Name: s.Ref.Name, Problem: "is of type ExternalName, which is not followed: give the address as uri",
		}
	}
	port, problem := servicePort(&service, s.Ref.Port)
	if problem != "" {
		return nil, netip.Addr{}, &ServiceNotFoundError{Sink: s.Name, Namespace: namespace, Name: s.Ref.Name, Problem: problem}
	}
	path := s.Ref.Path
	if path == "" {
		path = "/"
	}
	u, err := url.Parse("http://" + service.Name + "." + namespace + ".svc:" + strconv.Itoa(int(port)) + path)
	if err != nil || u.User != nil || u.Hostname() != service.Name+"."+namespace+".svc" {
		return nil, netip.Addr{}, &InvalidError{Sink: s.Name, Problem: "its path is not one of a URL"}
	}
	address, err := netip.ParseAddr(service.Spec.ClusterIP)
	if err != nil {
		address = netip.Addr{} // "None"
	}
	return u, address, nil
}

// servicePort is the port asked for, or the only one that speaks TCP.
func servicePort(service *corev1.Service, asked int32) (port int32, problem string) {
	var ports []int32
	for _, p := range service.Spec.Ports {
		if p.Protocol != "" && p.Protocol != corev1.ProtocolTCP {
			continue
		}
		if p.Port == asked {
			return asked, ""
		}
		ports = append(ports, p.Port)
	}
	switch {
	case asked != 0:
		return 0, fmt.Sprintf("has no TCP port %d (it has %v): correct the sink's port", asked, ports)
	case len(ports) == 1:
		return ports[0], ""
	case len(ports) == 0:
		return 0, "has no TCP port"
	default:
		return 0, fmt.Sprintf("has several ports (%v): name one in the sink's ref", ports)
	}
}
