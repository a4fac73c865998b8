package bundle

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// strip takes away what helps nobody, and what may hold anything.
func strip(object client.Object) {
	object.SetManagedFields(nil)
	annotations := object.GetAnnotations()
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	object.SetAnnotations(annotations)
}

// silence takes away the values of environment variables: a URL with a password is one.
func silence(spec *corev1.PodSpec) {
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			for j := range containers[i].Env {
				containers[i].Env[j].Value = ""
			}
		}
	}
}

// userinfo is the user and password of a URL.
var userinfo = regexp.MustCompile(`://[^/@\s"]+@`)

// redactor takes out of texts what opens something: user and password of any URL, and all but the host of the sinks' URLs, which are known once
// the channels are.
type redactor struct {
	// hidden are texts and what stands for each, in turns; the longest first, lest a part of one is taken for another.
	hidden []string
}

// channel hides what is in a channel, wherever it appears in later texts too.
func (r *redactor) channel(ch *v1alpha1.TiktokChannel) {
	ch.Status.AuthorizationURL = "" // who has it may authorize
	for i := range ch.Spec.Sinks {
		whole := ch.Spec.Sinks[i].URI
		if masked := mask(whole); masked != whole {
			ch.Spec.Sinks[i].URI = masked
			at := 0
			for at < len(r.hidden) && len(r.hidden[at]) > len(whole) {
				at += 2
			}
			r.hidden = slices.Insert(r.hidden, at, whole, masked)
		}
	}
}

// mask leaves a URL's scheme and host: its user, path and query may be what lets a caller in.
func mask(text string) string {
	u, err := url.Parse(text)
	if text == "" || err != nil || u.Host == "" {
		return strings.Repeat("…", min(len(text), 1))
	}
	masked := u.Scheme + "://" + u.Host
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		masked += "/…"
	}
	return masked
}

func (r *redactor) text(text []byte) []byte {
	return userinfo.ReplaceAll([]byte(strings.NewReplacer(r.hidden...).Replace(string(text))), []byte("://…@"))
}
