package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
)

// DefaultAudience is what tokens must be made for.
const DefaultAudience = "tiktok-operator"

// Options of an Access.
type Options struct {
	// Client creates TokenReviews and SubjectAccessReviews. Required.
	Client client.Client
	// Audience that tokens must be made for. Default: DefaultAudience.
	Audience string
	// Timeout bounds one question to the API server. Default: 5s.
	Timeout time.Duration
	// Clock decides how long answers are kept. Default: the real one.
	Clock clock.PassiveClock
	// Log defaults to none.
	Log logr.Logger
}

// Access is the access control of an HTTP API. It is safe for concurrent use.
type Access struct {
	opts    Options
	reviews *reviewer
}

// New returns an Access. The error says which option is missing.
func New(opts Options) (*Access, error) {
	if opts.Client == nil {
		return nil, errors.New("access control needs a Kubernetes client")
	}
	if opts.Audience == "" {
		opts.Audience = DefaultAudience
	}
	if opts.Timeout == 0 {
		opts.Timeout = 5 * time.Second
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Log.GetSink() == nil {
		opts.Log = logr.Discard()
	}
	return &Access{opts: opts, reviews: newReviewer(opts)}, nil
}

// Rule says what a caller must be allowed to do.
type Rule struct {
	// Verb, as in a Role: get, list, create and so on.
	Verb string
	// Subresource of tiktokchannels, such as authorization.
	Subresource string
	// Target finds the channel that a request is about; Name may be "" for all of a namespace. ok is false if the request names none that
	// can exist. Default: PathTarget.
	Target func(*http.Request) (channel types.NamespacedName, ok bool)
}

// PathTarget reads the wildcards {namespace} and {name} of the pattern that a http.ServeMux matched.
func PathTarget(r *http.Request) (types.NamespacedName, bool) {
	key := types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	return key, len(content.IsDNS1123Label(key.Namespace)) == 0 && len(content.IsDNS1123Subdomain(key.Name)) == 0
}

type userKey struct{}

// UserFrom is the caller of a request that came through Require.
func UserFrom(ctx context.Context) (authenticationv1.UserInfo, bool) {
	user, ok := ctx.Value(userKey{}).(authenticationv1.UserInfo)
	return user, ok
}

// Require lets requests through to next whose caller may do what the rule says. Others are answered 401, 403, 404 or, while the API server
// cannot be asked, 503.
func (a *Access) Require(rule Rule, next http.Handler) http.Handler {
	if rule.Target == nil {
		rule.Target = PathTarget
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, refusal := a.check(r, rule)
		if refusal != nil {
			refusal.write(w)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
	})
}

// check returns the caller, or why it is refused.
func (a *Access) check(r *http.Request, rule Rule) (authenticationv1.UserInfo, *refusal) {
	var none authenticationv1.UserInfo
	token, present, ok := bearer(r.Header)
	switch {
	case !present:
		return none, a.unauthenticated("", "The request has no bearer token.")
	case !ok:
		return none, a.unauthenticated("invalid_request", "The Authorization header does not hold one bearer token.")
	}
	digest := digestOf(token)
	user, err := a.reviews.authenticate(r.Context(), token, digest)
	var rejected *rejectedError
	switch {
	case errors.As(err, &rejected):
		a.opts.Log.V(1).Info("A token was refused", "reason", rejected.reason)
		return none, a.unauthenticated("invalid_token", "The token is not valid, has expired, or was made for another audience.")
	case err != nil:
		return none, a.unavailable(err)
	}
	target, ok := rule.Target(r)
	if !ok {
		return none, notFound()
	}
	allowed, err := a.reviews.authorize(r.Context(), user, question{
		token: digest, verb: rule.Verb, subresource: rule.Subresource, namespace: target.Namespace, name: target.Name,
	})
	switch {
	case err != nil:
		return none, a.unavailable(err)
	case !allowed:
		a.opts.Log.V(1).Info("A request was refused", "user", user.Username, "verb", rule.Verb, "subresource", rule.Subresource,
			"namespace", target.Namespace, "name", target.Name)
		return none, forbidden(user, rule, target)
	}
	return user, nil
}

// refusal is a problem and its challenge.
type refusal struct {
	problem.Problem
	challenge string
}

func (f *refusal) write(w http.ResponseWriter) {
	if f.challenge != "" {
		w.Header().Set("WWW-Authenticate", f.challenge)
	}
	problem.Write(w, f.Problem)
}

func (a *Access) unauthenticated(code, what string) *refusal {
	challenge := `Bearer realm="tiktok-operator"`
	if code != "" {
		challenge += fmt.Sprintf(`, error=%q, error_description=%q`, code, what)
	}
	return &refusal{challenge: challenge, Problem: problem.Problem{
		Name: "unauthenticated", Status: http.StatusUnauthorized, Title: "Not authenticated",
		Detail: fmt.Sprintf("%s Send Authorization: Bearer <token> with a token of the cluster for the audience %s, for example from "+
			"kubectl create token <service account> --audience %s.", what, a.opts.Audience, a.opts.Audience),
	}}
}

func forbidden(user authenticationv1.UserInfo, rule Rule, target types.NamespacedName) *refusal {
	return &refusal{Problem: problem.Problem{
		Name: "forbidden", Status: http.StatusForbidden, Title: "Not allowed",
		Detail: fmt.Sprintf("%s may not %s tiktokchannels/%s in namespace %s. A Role there grants it with apiGroups: [%s], "+
			"resources: [tiktokchannels/%s], verbs: [%s].", user.Username, rule.Verb, rule.Subresource, target.Namespace, v1alpha1.Group,
			rule.Subresource, rule.Verb),
	}}
}

func notFound() *refusal {
	return &refusal{Problem: problem.Problem{
		Name: "not-found", Status: http.StatusNotFound, Title: "No such channel",
		Detail: "The path does not name a channel: namespace and name are those of a Kubernetes object.",
	}}
}

func (a *Access) unavailable(cause error) *refusal {
	a.opts.Log.Error(cause, "A request could not be checked because the API server could not be asked")
	const soon = 5 * time.Second
	return &refusal{Problem: problem.Problem{
		Name: "unavailable", Status: http.StatusServiceUnavailable, Title: "Cannot be checked right now", RetryAfter: soon,
		Detail: "The API server could not be asked who the caller is and what it may do. Try again.",
	}}
}
