package inbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

const (
	sinkSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	sinkToken  = "inbound-sink-token"
)

// check says what is wrong with a delivery's credentials, if the sink has any; "" if nothing is.
func (s *sink) check(header http.Header, body []byte) string {
	if !s.locked {
		return ""
	}
	verifier, err := standardwebhooks.NewWebhook(sinkSecret)
	if err == nil {
		err = verifier.Verify(body, header)
	}
	if got := header.Get("Authorization"); got != "Bearer "+sinkToken {
		err = errors.Join(err, fmt.Errorf("its Authorization is %q", got))
	}
	if err != nil {
		return "its credentials are wrong: " + err.Error()
	}
	return ""
}

// fromTheAPIServer makes sinks of which the API server has to be asked something: one that wants a signature and a token, and one that is a
// Service, if this machine has addresses for them. Either fails at some events once while the API server is away, so that it is looked for anew,
// and may fail twice.
func fromTheAPIServer(s *scene) error {
	ctx := context.Background()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.name, Name: "sinks"}, StringData: map[string]string{"key": sinkSecret, "token": sinkToken},
	}
	if err := s.o.Cluster.K8s.Create(ctx, secret); err != nil {
		return fmt.Errorf("creating a Secret: %w", err)
	}
	service, err := s.serve(ctx, s.troubled)
	if err != nil {
		return err
	}
	s.steady.locked = true
	for _, to := range s.sinks() {
		to.behave = func(_ context.Context, e Event, before int) int {
			if before == 0 && (e.Number*37+e.Conversation*11)%20 == 0 && s.proxies[0].isAway() {
				return http.StatusServiceUnavailable
			}
			return http.StatusNoContent
		}
	}
	for _, ch := range s.channels {
		base := ch.DeepCopy()
		attempts := int32(3)
		for i := range ch.Spec.Sinks {
			ch.Spec.Sinks[i].Delivery.MaxAttempts = &attempts
		}
		ch.Spec.Sinks[0].SigningSecretRef = &v1alpha1.SecretKeyReference{Name: secret.Name, Key: "key"}
		ch.Spec.Sinks[0].BearerTokenSecretRef = &v1alpha1.SecretKeyReference{Name: secret.Name, Key: "token"}
		if service != nil {
			at, err := url.Parse(ch.Spec.Sinks[1].URI)
			if err != nil {
				return fmt.Errorf("reading a sink's address: %w", err)
			}
			ch.Spec.Sinks[1].URI = ""
			ch.Spec.Sinks[1].Ref = &v1alpha1.SinkReference{Kind: "Service", Name: service.Name, Path: at.Path}
		}
		if err := s.patch(ch, base); err != nil {
			return err
		}
	}
	return nil
}

// serve makes a sink a Service, which has it listen at the Service's address. It is nil where this machine does not have that.
func (s *scene) serve(ctx context.Context, to *sink) (*corev1.Service, error) {
	_, port, err := net.SplitHostPort(to.address)
	if err != nil {
		return nil, fmt.Errorf("reading a sink's address: %w", err)
	}
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading a sink's port: %w", err)
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.name, Name: to.name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: int32(number)}}},
	}
	if err := s.o.Cluster.K8s.Create(ctx, service); err != nil {
		return nil, fmt.Errorf("creating a Service: %w", err)
	}
	before := to.address
	to.die()
	to.address = net.JoinHostPort(service.Spec.ClusterIP, port)
	if err := to.revive(ctx); err == nil {
		s.note("one sink is sent a signature and a token, the other one is a Service")
		return service, nil
	}
	s.note("one sink is sent a signature and a token; this machine has no address for a Service")
	to.address = before
	return nil, to.revive(ctx)
}
