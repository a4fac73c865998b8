package main

import (
	"os"
	"runtime/debug"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// gcPercent trades processor time, of which the manager needs next to none, for memory: what is kept of ten thousand channels is collected
// when it has grown by half, not when it has doubled. $GOGC overrules it.
const gcPercent = 50

func collectEarly() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// maxShared bounds the texts that are kept to be shared. There are some hundred; messages that name a time or a channel are not worth more.
const maxShared = 4096

// sharer makes the cache smaller: most of what is said about one channel is said about all (conditions, scopes, keys), and is then held
// once. It is a transform of the cache: what it is given is nobody else's yet.
type sharer struct {
	mu     sync.Mutex
	texts  map[string]string
	scopes map[string][]string
}

func newSharer() *sharer {
	return &sharer{texts: map[string]string{}, scopes: map[string][]string{}}
}

// channel strips and shares what is the same in many channels.
func (s *sharer) channel(object any) (any, error) {
	ch, ok := object.(*v1alpha1.TiktokChannel)
	if !ok {
		return object, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ch.ManagedFields = nil
	for _, text := range []*string{&ch.Kind, &ch.APIVersion, &ch.Namespace, &ch.Spec.AppRef.Name} {
		*text = s.text(*text)
	}
	for i, finalizer := range ch.Finalizers {
		ch.Finalizers[i] = s.text(finalizer)
	}
	for i := range ch.Status.Conditions {
		c := &ch.Status.Conditions[i]
		c.Type, c.Reason, c.Message = s.text(c.Type), s.text(c.Reason), s.text(c.Message)
	}
	ch.Status.GrantedScopes = s.list(ch.Status.GrantedScopes)
	return ch, nil
}

// secret strips and shares what is the same in many token Secrets; of tokens it keeps nothing.
func (s *sharer) secret(object any) (any, error) {
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return object, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	secret.ManagedFields = nil
	secret.Namespace, secret.Type = s.text(secret.Namespace), corev1.SecretType(s.text(string(secret.Type)))
	secret.Labels, secret.Annotations = shareKeys(s, secret.Labels), shareKeys(s, secret.Annotations)
	secret.Data = shareKeys(s, secret.Data)
	return secret, nil
}

// shareKeys gives a map with shared keys. s.mu is held.
func shareKeys[V any](s *sharer, m map[string]V) map[string]V {
	if m == nil {
		return nil
	}
	shared := make(map[string]V, len(m))
	for key, value := range m {
		shared[s.text(key)] = value
	}
	return shared
}

// text is the one copy of a text. s.mu is held.
func (s *sharer) text(text string) string {
	if shared, ok := s.texts[text]; ok {
		return shared
	}
	if len(s.texts) < maxShared {
		text = strings.Clone(text) // it may be part of a larger one
		s.texts[text] = text
	}
	return text
}

// list is the one copy of a list that nobody changes. s.mu is held.
func (s *sharer) list(list []string) []string {
	key := strings.Join(list, "\n")
	if shared, ok := s.scopes[key]; ok {
		return shared
	}
	if len(list) > 0 && len(s.scopes) < maxShared {
		s.scopes[key] = list
	}
	return list
}
