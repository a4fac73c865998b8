package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// witness remembers what was said where, and which words are secret.
type witness struct {
	t *testing.T

	mu      sync.Mutex
	secrets map[secret]bool
	said    []saying
	// callbacks are the addresses at which browsers came back from TikTok.
	callbacks []string
}

type (
	saying struct{ where, text string }
	secret struct{ what, value string }
)

func newWitness(t *testing.T) *witness { return &witness{t: t, secrets: map[secret]bool{}} }

func (w *witness) secret(what, value string) {
	if len(value) < 8 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets[secret{what, value}] = true
}

func (w *witness) saw(where, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, saying{where, text})
}

// link takes note of an authorization link, which is a secret everywhere but where it is given out.
func (w *witness) link(text string) {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("\"?&=", r) }) {
		if strings.Count(part, ".") == 2 && strings.HasPrefix(part, "ey") {
			w.secret("authorization link", part)
		}
	}
}

// RoundTrip implements http.RoundTripper: it is the person's browser.
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	ours := strings.HasPrefix(r.URL.Path, "/oauth/")
	switch {
	case ours && strings.HasPrefix(r.URL.Path, "/oauth/callback"):
		w.secret("authorization code", q.Get("code"))
		w.secret("state", q.Get("state"))
		w.mu.Lock()
		w.callbacks = append(w.callbacks, r.URL.String())
		w.mu.Unlock()
	case ours && r.URL.Path == "/oauth/start":
		w.secret("authorization link", q.Get("link"))
	case ours:
		w.saw("address "+r.URL.Path, r.URL.String())
	}
	for _, cookie := range r.Cookies() {
		w.secret("browser's cookie", cookie.Value)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if ours {
		w.saw("page "+r.URL.Path, string(body))
	}
	return resp, nil
}

// request takes note of what a sink was sent. Its credentials were made for it.
func (w *witness) request(r *http.Request, body []byte) {
	h := r.Header.Clone()
	h.Del("Authorization")
	w.saw("sink", fmt.Sprintf("%s %v %s", r.URL, h, body))
}

// replay opens the callbacks again, and one that was made up with a code in it.
func (w *witness) replay(ctx context.Context, public string) error {
	w.mu.Lock()
	again := append([]string{public + "/oauth/callback/?code=made-up-code-1a2b3c&state=made-up-state-4d5e6f"}, w.callbacks...)
	w.mu.Unlock()
	for _, address := range again {
		status, _, err := get(ctx, &http.Client{Transport: w}, address)
		if err != nil || status < 400 {
			return fmt.Errorf("a callback that is no longer good was answered with %d (%w)", status, err)
		}
	}
	return nil
}

// watch takes note of every version of every object that the operator writes, and learns the secrets from the Secrets.
func (w *witness) watch(ctx context.Context, k8s client.WithWatch) {
	for _, list := range []client.ObjectList{
		&corev1.SecretList{}, &v1alpha1.TiktokChannelList{}, &v1alpha1.TiktokAppList{}, &eventsv1.EventList{}, &coordinationv1.LeaseList{},
		&corev1.ConfigMapList{},
	} {
		watching, err := k8s.Watch(ctx, list)
		if err != nil {
			w.t.Fatalf("watching %T: %v", list, err)
		}
		w.t.Cleanup(watching.Stop)
		go func() {
			for e := range watching.ResultChan() {
				if object, ok := e.Object.(client.Object); ok {
					w.object(object)
				}
			}
		}()
	}
}

func (w *witness) object(object client.Object) {
	switch o := object.(type) {
	case *corev1.Secret:
		for key, value := range o.Data {
			if key == v1alpha1.AccessTokenKey || key == v1alpha1.RefreshTokenKey || o.Type == corev1.SecretTypeOpaque {
				w.secret("Secret's "+key, string(value))
			}
		}
		o.Data = nil
	case *v1alpha1.TiktokChannel:
		w.link(o.Status.AuthorizationURL)
		o.Status.AuthorizationURL = ""
	}
	text, err := json.Marshal(object)
	if err != nil {
		w.t.Errorf("encoding %T: %v", object, err)
	}
	w.saw(fmt.Sprintf("%T %s", object, client.ObjectKeyFromObject(object)), string(text))
}

// files takes note of every file under a directory.
func (w *witness) files(where, dir string) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // its program has removed it since the directory was read
		}
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		w.saw(where+" "+d.Name(), string(text))
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
}

// judge looks for the secrets in everything that was said, in the forms that programs give them, and for the ends of long ones.
func (w *witness) judge() {
	w.mu.Lock()
	defer w.mu.Unlock()
	kinds := map[string]int{}
	for s := range w.secrets {
		what, value := s.what, s.value
		kinds[what]++
		forms := map[string]bool{
			value: true, url.QueryEscape(value): true, hex.EncodeToString([]byte(value)): true,
			base64.StdEncoding.EncodeToString([]byte(value)): true, base64.RawURLEncoding.EncodeToString([]byte(value)): true,
		}
		if len(value) > 24 {
			forms[value[len(value)-16:]] = true
		}
		reported := map[string]bool{}
		for _, s := range w.said {
			for form := range forms {
				if at := strings.Index(s.text, form); at >= 0 && !reported[s.where] {
					reported[s.where] = true
					w.t.Errorf("%s: the %s stands there: …%s…", s.where, what, s.text[max(0, at-160):min(len(s.text), at+len(form)+40)])
				}
			}
		}
	}
	// What the test would find nothing without.
	for _, what := range []string{
		"app secret", "rotated app secret", "Secret's access_token", "Secret's refresh_token", "Secret's current", "authorization code", "state",
		"authorization link", "browser's cookie", "caller's token", "signing secret", "sink's bearer token",
	} {
		if kinds[what] == 0 {
			w.t.Errorf("no %s was met, so it was not looked for", what)
		}
	}
	if kinds["Secret's refresh_token"] < 3 {
		w.t.Errorf("only %d refresh tokens were met", kinds["Secret's refresh_token"])
	}
	places := map[string]int{}
	for _, s := range w.said {
		kind, _, _ := strings.Cut(s.where, " ")
		places[kind] += len(s.text)
	}
	for _, kind := range []string{"log", "event", "metrics", "page", "address", "sink", "problem", "*v1.Event", "*v1.Lease", "*v1alpha1.TiktokChannel", "*v1alpha1.TiktokApp"} {
		if places[kind] == 0 {
			w.t.Errorf("nothing was seen of: %s", kind)
		}
	}
	w.t.Logf("%d secrets were looked for in %v bytes", len(w.secrets), places)
}
