package token

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

const (
	// ClaimLifetime is how long a refresh claim holds. A TikTok call is given up well before.
	ClaimLifetime = 30 * time.Second
	// ClaimUsable is how old a claim may be when TikTok is called: a call that begins later could still be under way, or only begin, when
	// another manager may claim. The API server's answer to a claim can take that long.
	ClaimUsable = 10 * time.Second
)

// State is what the operator remembers beside the tokens, as annotations of the token Secret. It is kept there and not in the channel's
// status because it must change in the same write as the tokens: a lost status write must never lead to a second refresh.
type State struct {
	// Epoch counts authorizations.
	Epoch int64
	// Claim is the refresh that is under way, if any.
	Claim *Claim
	// Removal is what TikTok told of the end of the authorization, if it did.
	Removal *Removal
	// Memory of refreshes and imports.
	Memory
}

// Memory is the part of State that one annotation holds as JSON.
type Memory struct {
	// HandledRequest is the value of the refresh annotation that was last answered.
	HandledRequest string `json:"handledRequest,omitempty"`
	// ImportDigest is the digest of the import Secret's content that was last handled.
	ImportDigest string `json:"importDigest,omitempty"`
	// Failures in passing since the last success.
	Failures *Failures `json:"failures,omitempty"`
	// Refusal for good, until something changes.
	Refusal *Refusal `json:"refusal,omitempty"`
	// AuthorizedAt is when a person last authorized the channel.
	AuthorizedAt time.Time `json:"authorizedAt,omitzero"`
	// RemovalsFrom is the earliest time of a Removal that is about these tokens.
	RemovalsFrom time.Time `json:"removalsFrom,omitzero"`
}

// Claim names who is refreshing, and since when.
type Claim struct {
	Holder string    `json:"holder"`
	Time   time.Time `json:"time"`
}

// Failures counts failures in passing.
type Failures struct {
	Count      int32     `json:"count"`
	LastTime   time.Time `json:"lastTime"`
	NextTime   time.Time `json:"nextTime"`
	Reason     string    `json:"reason"`
	Message    string    `json:"message,omitempty"`
	Generation int64     `json:"generation"`
}

// Refusal is a refresh, or an import, that TikTok refused for good.
type Refusal struct {
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
	// TokenDigest is the digest of the refresh token that was refused.
	TokenDigest string    `json:"tokenDigest"`
	Generation  int64     `json:"generation"`
	Time        time.Time `json:"time"`
}

// MemoryAnnotation holds Memory. It is the operator's own and not part of its public API.
const MemoryAnnotation = v1alpha1.Group + "/refresh-memory"

// DecodeState reads the state from a Secret's annotations. What cannot be read (somebody edited it) counts as absent: the worst that follows
// is one call too many, while refusing to go on would need a person.
func DecodeState(s *corev1.Secret) State {
	var st State
	if s == nil {
		return st
	}
	st.Epoch, _ = strconv.ParseInt(s.Annotations[v1alpha1.AuthorizationEpochAnnotation], 10, 64)
	if text := s.Annotations[v1alpha1.RefreshClaimAnnotation]; text != "" {
		var c Claim
		if json.Unmarshal([]byte(text), &c) == nil && c.Holder != "" {
			st.Claim = &c
		}
	}
	st.Removal = parseRemoval(s.Annotations[v1alpha1.AuthorizationRemovedAtAnnotation])
	if text := s.Annotations[MemoryAnnotation]; text != "" {
		var m Memory
		if json.Unmarshal([]byte(text), &m) == nil {
			st.Memory = m
		}
	}
	return st
}

// Encode writes the state to a Secret's annotations.
func (st State) Encode(s *corev1.Secret) error {
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	s.Annotations[v1alpha1.AuthorizationEpochAnnotation] = strconv.FormatInt(st.Epoch, 10)
	if st.Claim == nil {
		delete(s.Annotations, v1alpha1.RefreshClaimAnnotation)
	} else if err := encodeInto(s.Annotations, v1alpha1.RefreshClaimAnnotation, st.Claim); err != nil {
		return err
	}
	if st.Removal.Concerns(st.Memory) {
		s.Annotations[v1alpha1.AuthorizationRemovedAtAnnotation] = st.Removal.String()
	} else {
		delete(s.Annotations, v1alpha1.AuthorizationRemovedAtAnnotation)
	}
	if st.Memory == (Memory{}) {
		delete(s.Annotations, MemoryAnnotation)
		return nil
	}
	return encodeInto(s.Annotations, MemoryAnnotation, st.Memory)
}

func encodeInto(annotations map[string]string, key string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding annotation %s: %w", key, err)
	}
	annotations[key] = string(text)
	return nil
}

// HeldBy says until when somebody else than holder has the claim; the zero time means that nobody has. A claim from the future (clock skew)
// holds no longer than ClaimLifetime from now.
func (st State) HeldBy(holder string, now time.Time) time.Time {
	if st.Claim == nil || st.Claim.Holder == holder {
		return time.Time{}
	}
	until := st.Claim.Time.Add(ClaimLifetime)
	if limit := now.Add(ClaimLifetime); until.After(limit) {
		until = limit
	}
	if !until.After(now) {
		return time.Time{}
	}
	return until
}
