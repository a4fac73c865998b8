package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

func TestAddressesOfSinksAreTold(t *testing.T) {
	const private, ok = "must be public", ""
	for uri, want := range map[string]struct{ unknown, refused, allowed string }{
		"https://example.com/hook":        {ok, ok, ok},
		"https://1.1.1.1/":                {ok, ok, ok},
		"https://10.0.0.1/":               {private, private, ok},
		"https://169.254.169.254/latest/": {private, private, ok},
		"https://[::ffff:7f00:1]/":        {private, private, ok},
		"https://2130706433/":             {private, private, ok},
		"https://localhost/":              {private, private, ok},
		"http://localhost:9000/":          {ok, private, ok}, // the schema admits it, for development
		"http://127.0.0.1:9000/":          {ok, private, ok},
		"http://10.0.0.1/":                {"https", "https", "https"},
		"ftp://example.com/":              {"absolute", "absolute", "absolute"},
		"https://user:secret@example.com": {"bearerTokenSecretRef", "bearerTokenSecretRef", "bearerTokenSecretRef"},
	} {
		for message, resolve := range map[string]SinkResolver{
			want.unknown + "\x00unknown": ResolveSinks(fake.NewFakeClient()),
			want.refused + "\x00refused": ResolveSinks(fake.NewFakeClient(), PrivateSinks(false)),
			want.allowed + "\x00allowed": ResolveSinks(fake.NewFakeClient(), PrivateSinks(true)),
		} {
			message, policy, _ := strings.Cut(message, "\x00")
			reason, err := resolve(t.Context(), &v1alpha1.TiktokChannel{}, &v1alpha1.Sink{Name: "s", URI: uri})
			switch {
			case message == "" && (err != nil || reason != ""):
				t.Errorf("%s, %s: %s %v", uri, policy, reason, err)
			case message != "" && (err == nil || reason != v1alpha1.ReasonSinkInvalid || !strings.Contains(err.Error(), message)):
				t.Errorf("%s, %s: %s %v, want %q", uri, policy, reason, err, message)
			case err != nil && strings.Contains(err.Error(), "user:secret"):
				t.Errorf("the credential is told: %v", err)
			}
		}
	}
}

func TestForbiddenAddressShowsInTheCondition(t *testing.T) {
	b := newBench(t, func(ch *v1alpha1.TiktokChannel) {
		ch.Spec.Sinks = []v1alpha1.Sink{{Name: "metadata", URI: "https://169.254.169.254/latest/"}, {Name: "good", URI: "https://example.com/"}}
	})
	b.r.ResolveSink = ResolveSinks(k8s)
	b.reconcile()
	b.want(v1alpha1.SinksResolvedCondition, metav1.ConditionFalse, v1alpha1.ReasonSinkInvalid)
	message := meta.FindStatusCondition(reload(t, b.ch).Status.Conditions, v1alpha1.SinksResolvedCondition).Message
	if !strings.Contains(message, `"metadata"`) || !strings.Contains(message, "169.254.169.254 is link-local") || strings.Contains(message, "good") {
		t.Errorf("the message is %q", message)
	}
	b.edit(func(ch *v1alpha1.TiktokChannel) { ch.Spec.Sinks[0].URI = "https://example.com/latest/" })
	b.reconcile()
	b.want(v1alpha1.SinksResolvedCondition, metav1.ConditionTrue, v1alpha1.ReasonSinksResolved)
}

// refusing is an API server that lets nothing be read, as without a Role.
type refusing struct {
	client.Reader
	refuses bool
}

func (r *refusing) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if r.refuses {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, key.Name, errors.New("no Role"))
	}
	return r.Reader.Get(ctx, key, obj, opts...)
}

// A sink that the manager may not look up is told of as the others that are not resolved; the channel's other conditions are kept up all the same.
func TestASinkThatMayNotBeReadShowsInTheCondition(t *testing.T) {
	b := connected(t, func(ch *v1alpha1.TiktokChannel) {
		ch.Spec.Sinks = []v1alpha1.Sink{{Name: "a", Ref: &v1alpha1.SinkReference{Name: "receiver"}}}
	})
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.ch.Namespace, Name: "receiver"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}
	if err := k8s.Create(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	reader := &refusing{Reader: k8s, refuses: true}
	b.r.ResolveSink = ResolveSinks(reader)
	b.reconcile()
	b.want(v1alpha1.SinksResolvedCondition, metav1.ConditionFalse, v1alpha1.ReasonSinkNotReadable)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonSinkNotReadable)
	b.want(v1alpha1.TokenFreshCondition, metav1.ConditionTrue, v1alpha1.ReasonTokenFresh)
	message := meta.FindStatusCondition(reload(t, b.ch).Status.Conditions, v1alpha1.SinksResolvedCondition).Message
	if !strings.Contains(message, `Sink "a": the operator may not read the Service `+b.ch.Namespace+`/receiver: services "receiver" is forbidden`) {
		t.Errorf("the message is %q", message)
	}
	reader.refuses = false
	b.reconcile()
	b.want(v1alpha1.SinksResolvedCondition, metav1.ConditionTrue, v1alpha1.ReasonSinksResolved)
	b.want(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

// Hostile addresses in a uri, each refused with its reason: by the schema in the answer to whoever applies the channel, else by the manager in the
// condition SinksResolved. (What names lead to is seen when they are dialled, and told as TestFailingSinksAreToldAndLeaveTheChannelReady shows.)
func TestHostileAddressesAreRefusedWithTheReason(t *testing.T) {
	const schemaScheme, schemaUser = "uri must be an absolute https URL", "uri must name a host and have no fragment or user"
	for uri, want := range map[string]string{
		"http://10.0.0.1/": schemaScheme, "http://169.254.169.254/latest/meta-data/": schemaScheme, "file:///etc/passwd": schemaScheme,
		"gopher://127.0.0.1:6379/_FLUSHALL": schemaScheme, "unix:///run/containerd.sock": schemaScheme, "//127.0.0.1/": schemaScheme,
		"https://public.example@127.0.0.1/": schemaUser, "https://me:pw@public.example/": schemaUser, "https://127.0.0.1/#@public.example": schemaUser,
	} {
		ch := &v1alpha1.TiktokChannel{
			ObjectMeta: metav1.ObjectMeta{Namespace: unmanaged, Name: "hostile"},
			Spec: v1alpha1.TiktokChannelSpec{
				AppRef: v1alpha1.TiktokAppReference{Name: "a"}, Sinks: []v1alpha1.Sink{{Name: "s", URI: uri}},
			},
		}
		if err := k8s.Create(t.Context(), ch, client.DryRunAll); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", uri, err, want)
		}
	}

	const loopback, linkLocal, private, metadata = "loopback", "link-local", "private", "a cloud's metadata service"
	var told []struct{ uri, address, kind string }
	for _, block := range []struct {
		kind  string
		hosts []string
	}{
		{loopback, []string{
			"127.0.0.1", "127.8.9.10:6443", "localhost", "LOCALHOST.:8443", "db.localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1",
			"[::1]", "[0:0:0:0:0:0:0:1]:8443", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
		}},
		{linkLocal, []string{
			"169.254.169.254/latest/meta-data/", "169.254.0.23", "2852039166", "[fe80::1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::169.254.169.254]",
		}},
		{metadata, []string{"168.63.129.16/machine?comp=goals", "100.100.100.200/latest/", "192.0.0.192", "[fd00:ec2::254]", "[fd20:ce::254]"}},
		{private, []string{
			"10.96.0.1", "172.31.255.254:10250", "192.168.0.1", "100.64.0.1", "[fc00::1]", "[fdff::1]:443", "[fec0::1]", "[2606:4700::5efe:10.0.0.1]",
		}},
		{"unspecified", []string{"0.0.0.0:22", "0", "[::]"}},
		{"multicast", []string{"224.0.0.1", "[ff02::1]"}},
		{"reserved", []string{"240.0.0.1", "[::127.0.0.1]", "[4000::1]", "[2001:0:7f00:1::]"}},
		{"the broadcast address", []string{"255.255.255.255"}},
		{"for documentation only", []string{"192.0.2.1", "203.0.113.1", "[2001:db8::1]"}},
	} {
		for _, host := range block.hosts {
			u, err := url.Parse("https://" + host)
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, struct{ uri, address, kind string }{u.String(), strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), block.kind})
		}
	}
	if len(told) < 30 {
		t.Fatalf("only %d addresses", len(told))
	}
	b := newBench(t)
	b.r.ResolveSink = ResolveSinks(k8s)
	for batch := range slices.Chunk(told, 16) { // as many as a channel may have
		b.edit(func(ch *v1alpha1.TiktokChannel) {
			ch.Spec.Sinks = []v1alpha1.Sink{}
			for i, s := range batch {
				ch.Spec.Sinks = append(ch.Spec.Sinks, v1alpha1.Sink{Name: "sink-" + strconv.Itoa(i), URI: s.uri})
			}
		})
		b.reconcile()
		b.want(v1alpha1.SinksResolvedCondition, metav1.ConditionFalse, v1alpha1.ReasonSinkInvalid)
		message := meta.FindStatusCondition(reload(t, b.ch).Status.Conditions, v1alpha1.SinksResolvedCondition).Message
		for i, s := range batch {
			_, about, _ := strings.Cut(message, fmt.Sprintf("Sink %q: ", "sink-"+strconv.Itoa(i)))
			about, _, _ = strings.Cut(about, "Sink ")
			if !strings.Contains(about, "the address "+s.address+" is ") || !strings.Contains(about, s.kind) || !strings.Contains(about, "must be public") {
				t.Errorf("%s: it is told %q", s.uri, about)
			}
		}
	}
}
