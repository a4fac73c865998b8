package sink_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
)

func service(name string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.ServiceSpec{Ports: ports}}
}

func reader() client.Client {
	external := service("external", corev1.ServicePort{Port: 80})
	external.Spec.Type = corev1.ServiceTypeExternalName
	return fake.NewClientBuilder().WithObjects(
		service("one", corev1.ServicePort{Port: 8080}),
		service("dns", corev1.ServicePort{Port: 53, Protocol: corev1.ProtocolUDP}, corev1.ServicePort{Port: 9000, Protocol: corev1.ProtocolTCP}),
		service("two", corev1.ServicePort{Port: 80}, corev1.ServicePort{Port: 443}),
		service("none"), external,
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "keys"}, Data: map[string][]byte{
			"whsec": []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), "plain": []byte("a plain key of enough bytes"),
			"short": []byte("sh0rt"), "bad": []byte("whsec_!!!"), "empty": []byte(" \n"), "token": []byte("t0ken\n"), "header": []byte("a\r\nX: y"),
		}},
	).Build()
}

func TestResolve(t *testing.T) {
	ref := func(name string, port int32, path string) v1alpha1.Sink {
		return v1alpha1.Sink{Name: "s", Ref: &v1alpha1.SinkReference{Name: name, Port: port, Path: path}}
	}
	uri := func(u string) v1alpha1.Sink { return v1alpha1.Sink{Name: "s", URI: u} }
	with := func(signing, bearer string) v1alpha1.Sink {
		s := uri("https://example.com/hook?k=v")
		if signing != "" {
			s.SigningSecretRef = &v1alpha1.SecretKeyReference{Name: "keys", Key: signing}
		}
		if bearer != "" {
			s.BearerTokenSecretRef = &v1alpha1.SecretKeyReference{Name: "keys", Key: bearer}
		}
		return s
	}
	missing := with("", "token")
	missing.BearerTokenSecretRef.Name = "nowhere"
	for name, tc := range map[string]struct {
		sink    v1alpha1.Sink
		url     string
		err     error // its type
		message string
	}{
		"only port":          {sink: ref("one", 0, ""), url: "http://one.ns.svc:8080/"},
		"only TCP port":      {sink: ref("dns", 0, "/a?b=c"), url: "http://dns.ns.svc:9000/a?b=c"},
		"named port":         {sink: ref("two", 443, "/@evil.example/"), url: "http://two.ns.svc:443/@evil.example/"},
		"several ports":      {sink: ref("two", 0, ""), err: &sink.ServiceNotFoundError{}, message: "several ports ([80 443])"},
		"UDP port":           {sink: ref("dns", 53, ""), err: &sink.ServiceNotFoundError{}, message: "no TCP port 53"},
		"wrong port":         {sink: ref("one", 81, ""), err: &sink.ServiceNotFoundError{}, message: "no TCP port 81 (it has [8080])"},
		"no port":            {sink: ref("none", 0, ""), err: &sink.ServiceNotFoundError{}, message: "no TCP port"},
		"no Service":         {sink: ref("nowhere", 0, ""), err: &sink.ServiceNotFoundError{}, message: `Sink "s": the Service ns/nowhere does not exist`},
		"ExternalName":       {sink: ref("external", 0, ""), err: &sink.ServiceNotFoundError{}, message: "ExternalName"},
		"bad path":           {sink: ref("one", 0, "/%zz"), err: &sink.InvalidError{}, message: "path"},
		"uri":                {sink: uri("https://example.com/x"), url: "https://example.com/x"},
		"no URL":             {sink: uri("example.com"), err: &sink.InvalidError{}, message: "absolute"},
		"other scheme":       {sink: uri("file:///etc/passwd"), err: &sink.InvalidError{}, message: "absolute"},
		"nothing":            {sink: v1alpha1.Sink{Name: "s"}, err: &sink.InvalidError{}, message: "neither"},
		"whsec key":          {sink: with("whsec", ""), url: "https://example.com/hook?k=v"},
		"plain key, token":   {sink: with("plain", "token"), url: "https://example.com/hook?k=v"},
		"short key":          {sink: with("short", ""), err: &sink.SecretNotFoundError{}, message: "too short"},
		"bad key":            {sink: with("bad", ""), err: &sink.SecretNotFoundError{}, message: "base64"},
		"empty key":          {sink: with("empty", ""), err: &sink.SecretNotFoundError{}, message: "missing or empty"},
		"missing key":        {sink: with("nothing", ""), err: &sink.SecretNotFoundError{}, message: `the key "nothing" of Secret ns/keys is missing`},
		"missing Secret":     {sink: missing, err: &sink.SecretNotFoundError{}, message: "Secret ns/nowhere does not exist"},
		"token with a break": {sink: with("", "header"), err: &sink.SecretNotFoundError{}, message: "not a bearer token"},
	} {
		t.Run(name, func(t *testing.T) {
			ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "ch"}}
			target, err := sink.Resolve(t.Context(), reader(), ch, &tc.sink)
			if tc.err == nil {
				if err != nil || target.URL.String() != tc.url || target.Guarded != (tc.sink.URI != "") {
					t.Fatalf("got %+v, %v", target, err)
				}
				if strings.Contains(target.Origin(), "hook") || (tc.sink.SigningSecretRef != nil) != (target.SigningKey != nil) {
					t.Fatalf("got %+v", target)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.message) || strings.Contains(err.Error(), "sh0rt") {
				t.Fatalf("got %v, want %q", err, tc.message)
			}
			var (
				s *sink.ServiceNotFoundError
				k *sink.SecretNotFoundError
				i *sink.InvalidError
			)
			var ok bool
			switch tc.err.(type) { //nolint:errorlint // the table holds them bare
			case *sink.ServiceNotFoundError:
				ok = errors.As(err, &s)
			case *sink.SecretNotFoundError:
				ok = errors.As(err, &k)
			case *sink.InvalidError:
				ok = errors.As(err, &i)
			}
			if !ok {
				t.Fatalf("got a %T", err)
			}
		})
	}
}

func TestUnreachableAPIServerIsNotAMissingService(t *testing.T) {
	away := errors.New("connection refused")
	c := interceptor.NewClient(reader().(client.WithWatch), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return away
		},
	})
	ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "ch"}}
	_, err := sink.Resolve(t.Context(), c, ch, &v1alpha1.Sink{Name: "s", Ref: &v1alpha1.SinkReference{Name: "one"}})
	var missing *sink.ServiceNotFoundError
	if !errors.Is(err, away) || errors.As(err, &missing) {
		t.Fatalf("got %v", err)
	}
}

// What the API server refuses is told as what it is, and with what it says.
func TestForbiddenIsNeitherMissingNorAway(t *testing.T) {
	no := apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "x", errors.New("no Role"))
	c := interceptor.NewClient(reader().(client.WithWatch), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return no
		},
	})
	ch := &v1alpha1.TiktokChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "ch"}}
	keys := &v1alpha1.SecretKeyReference{Name: "keys", Key: "key"}
	for what, s := range map[string]v1alpha1.Sink{
		"Service ns/one": {Name: "s", Ref: &v1alpha1.SinkReference{Name: "one"}},
		"Secret ns/keys": {Name: "s", URI: "https://example.com/", BearerTokenSecretRef: keys},
	} {
		_, err := sink.Resolve(t.Context(), c, ch, &s)
		var forbidden *sink.ForbiddenError
		want := `Sink "s": the operator may not read the ` + what + `: things "x" is forbidden: no Role.`
		if !errors.As(err, &forbidden) || !apierrors.IsForbidden(err) || sink.WaitsForPerson(err) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
