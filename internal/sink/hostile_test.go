package sink_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/sink"
)

// Where a hostile sink's address is refused.
type refusal int

const (
	// literally: as soon as it is read, since it is an address, or the name of this machine. When it is dialled, too.
	literally refusal = iota
	// dialled: when it is dialled, since only a resolver tells where it leads.
	dialled
	// invalid: it is not a sink's uri at all.
	invalid
)

// hostile are addresses by which somebody may try to reach what is not theirs.
func hostile() map[string]refusal {
	return map[string]refusal{
		// This machine.
		"https://127.0.0.1/":              literally,
		"https://127.0.0.1:6443/":         literally,
		"https://127.8.9.10/":             literally,
		"https://localhost/":              literally,
		"https://LOCALHOST.:8443/":        literally,
		"https://db.localhost/":           literally,
		"https://0.0.0.0/":                literally,
		"https://0.0.0.0:22/":             literally,
		"https://[::1]/":                  literally,
		"https://[::]/":                   literally,
		"https://[0:0:0:0:0:0:0:1]:8443/": literally,
		"http://127.0.0.1:9/":             literally,
		"http://localhost:9/":             literally,
		// The same, as the C library's resolver reads it.
		"https://2130706433/":  literally,
		"https://017700000001": literally,
		"https://0x7f000001/":  literally,
		"https://0177.0.0.1/":  literally,
		"https://0x7f.0.0.1/":  literally,
		"https://127.1/":       literally,
		"https://127.0.1/":     literally,
		"https://0/":           literally,
		"https://2852039166/":  literally, // 169.254.169.254
		"https://127.0.0.1./":  literally,
		// The same, in other scripts.
		"https://127。0。0。1/":                          literally,
		"https://127．0．0．1/":                          literally,
		"https://①②⑦.⓪.⓪.①/":                          literally,
		"https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/":                          literally,
		"https://169.254.169.254/latest/":             literally,
		"https://169.254.0.23/":                       literally,
		"https://[fe80::1]/":                          literally,
		"https://[fe80::1%25eth0]/":                   literally,
		"https://168.63.129.16/machine?comp=goals":    literally,
		"https://100.100.100.200/latest/":             literally,
		"https://[fd00:ec2::254]/latest/":             literally,
		"https://192.0.0.192/":                        literally,
		"https://10.96.0.1/":                          literally,
		"https://172.31.255.254:10250/":               literally,
		"https://192.168.0.1/":                        literally,
		"https://100.64.0.1/":                         literally,
		"https://[fc00::1]/":                          literally,
		"https://[fdff::1]:443/":                      literally,
		"https://[fec0::1]/":                          literally,
		"https://[200::1]/":                           literally, // an overlay network on unassigned numbers
		"https://[4000::1]/":                          literally,
		"https://[::ffff:127.0.0.1]/":                 literally,
		"https://[::ffff:a9fe:a9fe]/":                 literally,
		"https://[::127.0.0.1]/":                      literally,
		"https://[::ffff:0:10.0.0.1]/":                literally,
		"https://[64:ff9b::169.254.169.254]/":         literally,
		"https://[64:ff9b::7f00:1]/":                  literally,
		"https://[64:ff9b:1::1]/":                     literally,
		"https://[2002:7f00:1::]/":                    literally,
		"https://[2002:c0a8:101::1]/":                 literally,
		"https://[2001:0:7f00:1::]/":                  literally,
		"https://[2606:4700::5efe:10.0.0.1]/":         literally,
		"https://[2606:4700::200:5efe:10.0.0.1]/":     literally,
		"https://224.0.0.1/":                          literally,
		"https://[ff02::1]/":                          literally,
		"https://255.255.255.255/":                    literally,
		"https://240.0.0.1/":                          literally,
		"https://192.0.2.1/":                          literally,
		"https://198.51.100.1/":                       literally,
		"https://203.0.113.1/":                        literally,
		"https://198.18.0.1/":                         literally,
		"https://[2001:db8::1]/":                      literally,
		"https://[3fff::1]/":                          literally,
		"https://loopback.example/":                   dialled,
		"https://loopback.example.:8443/":             dialled,
		"https://loopback6.example/":                  dialled,
		"https://metadata.example/":                   dialled,
		"https://private.example/":                    dialled,
		"https://every.example/":                      dialled,
		"https://mapped.example/":                     dialled,
		"https://nat64.example/":                      dialled,
		"https://public.example@127.0.0.1/":           invalid,
		"https://user:secret@public.example/":         invalid,
		"https://127.0.0.1@public.example/":           invalid,
		`https://127.0.0.1\@public.example/`:          invalid,
		"https://:443/":                               invalid,
		"https:///127.0.0.1/":                         invalid,
		"https://%31%32%37%2e0.0.1/":                  invalid,
		"https:127.0.0.1":                             invalid,
		"//127.0.0.1/":                                invalid,
		"http://10.0.0.1/":                            invalid,
		"http://public.example/":                      invalid,
		"http://127.1/":                               invalid,
		"file:///etc/passwd":                          invalid,
		"gopher://127.0.0.1/":                         invalid,
		"unix:///run/containerd.sock":                 invalid,
		"https://public.example:0/":                   invalid,
		"https://public.example:99999/":               invalid,
		"https://public.example:443:22/":              invalid,
		"https://a\u202eb.example/":                   invalid,
		"https://public.example/\r\nHost: 127.0.0.1/": invalid,
	}
}

func hostileNames() *names {
	return &names{answers: map[string][]string{
		"loopback.example": {"127.0.0.1"}, "loopback6.example": {"::1"}, "metadata.example": {"169.254.169.254"}, "private.example": {"10.0.0.1"},
		"every.example": {"127.0.0.1 10.0.0.1 ::1 fd00::1"}, "mapped.example": {"::ffff:127.0.0.1"}, "nat64.example": {"64:ff9b::7f00:1"},
		"rebinding.example": {"1.1.1.1", "127.0.0.1"},
		"db.localhost":      {"127.0.0.1"}, "localhost": {"127.0.0.1"},
	}}
}

// unreached says whether an attempt was refused. Of literal addresses that only the C library understands, Go's resolver says that they do not
// exist; what becomes of them where the C library resolves, TestGuardSeesWhatANameResolvesTo shows.
func unreached(err error, how refusal) bool {
	var address *sink.AddressError
	var unknown *net.DNSError
	return errors.As(err, &address) || (how == literally && errors.As(err, &unknown) && unknown.IsNotFound)
}

// guarded is a client as the dispatcher has for sinks with a uri.
func guarded(t *testing.T, control func(string, string, syscall.RawConn) error) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: control, Resolver: hostileNames().resolver(t)}
	transport := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func get(t *testing.T, client *http.Client, url string) error {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err == nil {
		_ = response.Body.Close()
	}
	return err
}

func TestHostileAddressesAreRefused(t *testing.T) {
	client := guarded(t, sink.Guard)
	ch := &v1alpha1.TiktokChannel{}
	for uri, how := range hostile() {
		target, err := sink.Resolve(t.Context(), reader(), ch, &v1alpha1.Sink{Name: "s", URI: uri})
		var wrong *sink.InvalidError
		if how == invalid {
			if !errors.As(err, &wrong) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q is taken for a sink's uri: %v", uri, err)
			}
			continue
		}
		if err != nil || !target.Guarded {
			t.Errorf("%s: %+v, %v", uri, target, err)
			continue
		}
		var address *sink.AddressError
		if err := sink.CheckHost(target.URL); (how == literally) != errors.As(err, &address) {
			t.Errorf("%s: without dialling it is said to be %v", uri, err)
		}
		if err := get(t, client, target.URL.String()); !unreached(err, how) {
			t.Errorf("%s was dialled: %v", uri, err)
		}
	}
}

func TestHostsThatAreNotRefusedWithoutDialling(t *testing.T) {
	for _, uri := range []string{
		"https://1.1.1.1/", "https://[2606:4700::1111]/", "https://public.example/", "https://public.example.:8443/", "https://16843009/",
		"https://127.0.0.1.example/", "https://localhost.example/", "https://0x7f.example/", "https://1.2.3.4.5/", "https://127.0.0.1_0/",
		"https://0b1111111.0.0.1/", "https://256.1/", "https://4294967296/", "https://a..b/", "https://bücher.example/", "https://127.0x/",
	} {
		target, err := sink.Resolve(t.Context(), reader(), &v1alpha1.TiktokChannel{}, &v1alpha1.Sink{Name: "s", URI: uri})
		if err != nil {
			t.Errorf("%s: %v", uri, err)
		} else if err := sink.CheckHost(target.URL); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

// A name that leads to a public address when somebody looks, and to this machine when it is dialled.
func TestGuardOutlastsRebinding(t *testing.T) {
	dns := hostileNames()
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: sink.Guard, Resolver: dns.resolver(t)}
	looked, err := dialer.Resolver.LookupNetIP(t.Context(), "ip4", "rebinding.example")
	if err != nil || len(looked) != 1 || sink.Guard("tcp4", net.JoinHostPort(looked[0].String(), "443"), nil) != nil {
		t.Fatalf("the first look shows %v, %v", looked, err)
	}
	conn, err := dialer.DialContext(t.Context(), "tcp4", "rebinding.example:443")
	if err == nil {
		_ = conn.Close()
	}
	if address := (&sink.AddressError{}); !errors.As(err, &address) || address.Address != "127.0.0.1" {
		t.Fatalf("it was dialled: %v", err)
	}
}

// A Service is checked when the sink is resolved. If it becomes another one right after that, its name may lead anywhere: as an ExternalName does, or
// a headless one with addresses that somebody wrote.
func TestGuardOfServicesOutlastsAChangeOfTheService(t *testing.T) {
	for _, answer := range []string{
		"127.0.0.1", "169.254.169.254", "::1", "fe80::1", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "0.0.0.0", "224.0.0.1",
		"127.0.0.1 ::1 169.254.169.254",
	} {
		dns := &names{answers: map[string][]string{"svc.ns.svc": {answer}}}
		dialer := &net.Dialer{Timeout: 10 * time.Second, Control: sink.GuardService, Resolver: dns.resolver(t)}
		conn, err := dialer.DialContext(t.Context(), "tcp", "svc.ns.svc:8080")
		if err == nil {
			_ = conn.Close()
		}
		if address := (&sink.AddressError{}); !errors.As(err, &address) {
			t.Errorf("%s was dialled: %v", answer, err)
		}
	}
}

// Even a client that follows redirects, as the dispatcher's does not, gets nowhere by one.
func TestGuardOutlastsRedirects(t *testing.T) {
	for uri, how := range hostile() {
		if how == invalid {
			continue
		}
		sender := httptest.NewServer(http.RedirectHandler(uri, http.StatusTemporaryRedirect))
		first := strings.TrimPrefix(sender.URL, "http://")
		client := guarded(t, func(network, address string, c syscall.RawConn) error {
			if address == first {
				return nil // stands for a public sink
			}
			return sink.Guard(network, address, c)
		})
		if err := get(t, client, sender.URL); !unreached(err, how) {
			t.Errorf("a redirect to %s was followed: %v", uri, err)
		}
		sender.Close()
	}
}
