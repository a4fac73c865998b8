package oauth

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
)

// outcome is what a request came to: a page that says what happened, what it means and what to do, or a redirect.
type outcome struct {
	result Result
	title  string
	what   string
	means  string
	// next are the things to do, in their order.
	next  []string
	facts []fact
	// retryAfter is when the same request may be made again; zero says nothing about it.
	retryAfter time.Duration
	// location is where to redirect to, and redirect with which status. There is no page then.
	location string
	redirect int
	// cause is for our log and never on the page.
	cause error
	// event is the sentence for a Kubernetes Event on the channel; "" raises none.
	event string
}

// fact is a name and what it stands for, in the page's details.
type fact struct {
	Name   string
	Values []string
}

func (o *outcome) with(name string, values ...string) *outcome {
	for _, v := range values {
		if v != "" {
			o.facts = append(o.facts, fact{name, values})
			break
		}
	}
	return o
}

// of names the channel in the page's details.
func (o *outcome) of(ch *v1alpha1.TiktokChannel) *outcome {
	return o.with("Channel", ch.Namespace+"/"+ch.Name)
}

const (
	startAgain = "Open the authorization link again: it stays valid for 24 hours, or until an authorization succeeds."
	newLink    = "Get a new link: it is in the channel's status.authorizationURL, or whoever gave you this one can give you a new one."
	ifAgain    = "If it happens again, show this page to whoever gave you the link."
)

// sentence makes foreign words fit for a page: one line of printable text, of no more than 200 characters.
func sentence(text string) string {
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)), " ")
	if runes := []rune(text); len(runes) > 200 {
		return string(runes[:199]) + "…"
	}
	return text
}

// word makes a foreign code fit for a log and an event: what is not one plain word is not repeated.
func word(text string) string {
	const longest = 64
	plain := strings.IndexFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.'
	}) < 0
	if text == "" || len(text) > longest || !plain {
		return "(unreadable)"
	}
	return text
}

func unavailable(cause error) *outcome {
	return &outcome{
		result: ResultUnavailable, title: "The cluster cannot be reached right now", cause: cause, retryAfter: 10 * time.Second,
		what:  "The operator could not read or write what it needs in its Kubernetes cluster.",
		means: "Nothing was changed.",
		next:  []string{"Wait a minute.", startAgain},
	}
}

func linkInvalid() *outcome {
	return &outcome{
		result: ResultLinkInvalid, title: "This link is not valid",
		what:  "The link was not made by this operator, or it is not complete.",
		means: "Mail and chat programs sometimes cut long links in two. Nothing was changed.",
		next:  []string{"Copy the whole link and open it again.", newLink},
	}
}

func linkExpired() *outcome {
	return &outcome{
		result: ResultLinkExpired, title: "This link has expired",
		what:  "A link can be used for 24 hours, and this one is older.",
		means: "Nothing was changed.",
		next:  []string{newLink},
	}
}

func linkSuperseded(ch *v1alpha1.TiktokChannel) *outcome {
	o := &outcome{
		result: ResultLinkSuperseded, title: "This link has been used already",
		what:  "The channel has been authorized since the link was made. A link ends with the first authorization that succeeds.",
		means: "The channel is most likely connected. This visit changed nothing.",
		next: []string{
			"If you wanted to connect the channel: nothing is left to do.",
			"If the channel needs to be authorized again, its status has a new link in authorizationURL.",
		},
	}
	return o.of(ch)
}

func channelGone(namespace, name string) *outcome {
	o := &outcome{
		result: ResultChannelGone, title: "The channel does not exist any more",
		what:  "The channel that the link was made for has been deleted. If there is a new one of the same name, it has a link of its own.",
		means: "There is nothing to connect the TikTok account to. Nothing was changed.",
		next:  []string{newLink},
	}
	return o.with("Channel", namespace+"/"+name)
}

func appNotReady(ch *v1alpha1.TiktokChannel, cause error) *outcome {
	o := &outcome{
		result: ResultAppNotReady, title: "The TikTok app is not set up yet", cause: cause,
		what: fmt.Sprintf("The channel uses the TiktokApp %s, which does not exist, has no app secret, or is refused by TikTok.",
			ch.Spec.AppRef.Name),
		means: "TikTok would refuse the authorization, so it was not begun. Nothing is wrong with the TikTok account.",
		next: []string{
			fmt.Sprintf("The platform team looks at the conditions of the app: kubectl describe tiktokapp %s", ch.Spec.AppRef.Name),
			"When its condition CredentialsValid is True, open the authorization link again.",
		},
	}
	return o.of(ch)
}

func namespaceNotAllowed(ch *v1alpha1.TiktokChannel) *outcome {
	o := &outcome{
		result: ResultNamespaceNotAllowed, title: "The TikTok app does not serve this channel",
		what: fmt.Sprintf("The TiktokApp %s does not allow channels in the namespace %s.", ch.Spec.AppRef.Name, ch.Namespace),
		next: []string{
			"The platform team sets spec.allowedNamespaces of the TiktokApp, or the channel's owner uses another app.",
			"Then open the authorization link again.",
		},
		means: "The channel cannot be connected. Nothing was changed.",
	}
	return o.of(ch)
}

func secretUnusable(ch *v1alpha1.TiktokChannel, cause error, means string) *outcome {
	o := &outcome{
		result: ResultSecretUnusable, title: "The tokens have no place to be stored", cause: cause,
		what: fmt.Sprintf("The Secret %s, in which the channel's tokens are kept, belongs to somebody else or cannot be written.",
			ch.TokenSecretName()),
		means: means,
		next: []string{
			fmt.Sprintf("The channel's owner looks at the channel's conditions and at the Secret: kubectl describe tiktokchannel -n %s %s",
				ch.Namespace, ch.Name),
			"When that is settled, open the authorization link again.",
		},
		event: fmt.Sprintf("An authorization could not be stored: the Secret %s belongs to somebody else or cannot be written.",
			ch.TokenSecretName()),
	}
	return o.of(ch)
}

func notFound() *outcome {
	return &outcome{
		result: ResultNotFound, title: "There is no such page",
		what: "The address is not one of this operator's pages.", means: "Nothing was changed.",
		next: []string{"Copy the whole link that you were given, and open it again."},
	}
}

func methodNotAllowed() *outcome {
	return &outcome{
		result: ResultMethodNotAllowed, title: "This page cannot be used in this way",
		what: "The page is opened by a browser with GET.", means: "Nothing was changed.", next: []string{startAgain},
	}
}
