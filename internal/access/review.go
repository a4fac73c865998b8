package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/cache"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

const (
	// keepYes is how long a right, or a token's user, is believed after it was taken away.
	keepYes = 30 * time.Second
	// keepNo is how long a refusal outlives its reason.
	keepNo = 5 * time.Second
	// keepAtMost bounds each cache in entries. Yes and no have caches of their own, so that made-up tokens cannot push out real ones.
	keepAtMost = 4096
)

// rejectedError says that the API server does not accept a token.
type rejectedError struct {
	reason string
}

// Error implements error.
func (e *rejectedError) Error() string { return "the token was refused: " + e.reason }

// question is what is asked about a caller.
type question struct {
	token                              tokenDigest
	verb, subresource, namespace, name string
}

// reviewer asks the API server, and remembers its answers for a short while. Who asks the same at the same time waits for one answer.
type reviewer struct {
	opts               Options
	users, rejected    *cache.LRUExpireCache
	allowed, forbidden *cache.LRUExpireCache
	flight             singleflight.Group
}

func newReviewer(opts Options) *reviewer {
	newCache := func() *cache.LRUExpireCache { return cache.NewLRUExpireCacheWithClock(keepAtMost, opts.Clock) }
	return &reviewer{opts: opts, users: newCache(), rejected: newCache(), allowed: newCache(), forbidden: newCache()}
}

// once runs work for all who ask the same now. Its context does not end with one caller's: the others still wait.
func once[T any](ctx context.Context, r *reviewer, key string, work func(context.Context) (T, error)) (T, error) {
	var none T
	result := r.flight.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.opts.Timeout)
		defer cancel()
		return work(ctx)
	})
	select {
	case <-ctx.Done():
		return none, fmt.Errorf("waiting for the API server: %w", ctx.Err())
	case got := <-result:
		if got.Err != nil {
			return none, got.Err
		}
		value, _ := got.Val.(T)
		return value, nil
	}
}

// authenticate says whose a token is. The error is a *rejectedError, or the API server could not be asked.
func (r *reviewer) authenticate(ctx context.Context, token string, digest tokenDigest) (authenticationv1.UserInfo, error) {
	if user, known, rejected := r.knownUser(digest); known {
		return user, rejected
	}
	return once(ctx, r, fmt.Sprintf("token %x", digest), func(ctx context.Context) (authenticationv1.UserInfo, error) {
		// Whoever looked just before an answer came, and asks just after, finds it here.
		if user, known, rejected := r.knownUser(digest); known {
			return user, rejected
		}
		review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{r.opts.Audience}}}
		if err := r.opts.Client.Create(ctx, review); err != nil {
			return authenticationv1.UserInfo{}, fmt.Errorf("reviewing a token: %w", err)
		}
		rejected := &rejectedError{}
		switch status := review.Status; {
		case !status.Authenticated && status.Error != "":
			rejected.reason = status.Error
		case !status.Authenticated:
			rejected.reason = "not authenticated"
		// An API server that knows nothing of audiences leaves them out, and has not checked them.
		case !slices.Contains(status.Audiences, r.opts.Audience):
			rejected.reason = "it is not made for the audience " + r.opts.Audience
		case status.User.Username == "":
			rejected.reason = "it names no user"
		default:
			r.users.Add(digest, status.User, keepYes)
			return status.User, nil
		}
		r.rejected.Add(digest, rejected, keepNo)
		return authenticationv1.UserInfo{}, rejected
	})
}

func (r *reviewer) knownUser(digest tokenDigest) (user authenticationv1.UserInfo, known bool, rejected error) {
	if user, ok := r.users.Get(digest); ok {
		return user.(authenticationv1.UserInfo), true, nil
	}
	if err, ok := r.rejected.Get(digest); ok {
		return authenticationv1.UserInfo{}, true, err.(*rejectedError)
	}
	return authenticationv1.UserInfo{}, false, nil
}

// authorize says whether a user may do something. The error means that the API server could not be asked.
func (r *reviewer) authorize(ctx context.Context, user authenticationv1.UserInfo, q question) (bool, error) {
	if allowed, known := r.knownAnswer(q); known {
		return allowed, nil
	}
	return once(ctx, r, fmt.Sprintf("question %q", q), func(ctx context.Context) (bool, error) {
		if allowed, known := r.knownAnswer(q); known {
			return allowed, nil
		}
		extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
		for key, value := range user.Extra {
			extra[key] = authorizationv1.ExtraValue(value)
		}
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Group: v1alpha1.Group, Version: v1alpha1.GroupVersion.Version, Resource: "tiktokchannels", Subresource: q.subresource,
				Namespace: q.namespace, Name: q.name, Verb: q.verb,
			},
		}}
		if err := r.opts.Client.Create(ctx, review); err != nil {
			return false, fmt.Errorf("reviewing access to tiktokchannels/%s: %w", q.subresource, err)
		}
		if !review.Status.Allowed {
			r.forbidden.Add(q, struct{}{}, keepNo)
			return false, nil
		}
		r.allowed.Add(q, struct{}{}, keepYes)
		return true, nil
	})
}

func (r *reviewer) knownAnswer(q question) (allowed, known bool) {
	if _, ok := r.allowed.Get(q); ok {
		return true, true
	}
	_, ok := r.forbidden.Get(q)
	return false, ok
}
