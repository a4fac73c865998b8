package oauth

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/oauth/tickets"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

func granted(r tickets.Receipt) *outcome {
	o := &outcome{
		result: ResultGranted, title: "The TikTok account is connected",
		what:  fmt.Sprintf("The TikTok account %s is now connected to the channel %s/%s.", r.Account, r.Namespace, r.Name),
		means: "The channel receives the account's messages. The permission renews itself; nobody has to sign in again unless it is taken back.",
		next: []string{
			"You can close this page.",
			"To get message requests too, let everyone send messages to the account in the TikTok app's privacy settings.",
			fmt.Sprintf("See the channel become ready: kubectl get tiktokchannel -n %s %s", r.Namespace, r.Name),
		},
	}
	if r.Suspended {
		o.next = append(o.next, "The channel is suspended: until its spec.suspend is removed, nothing is delivered or sent.")
	}
	return o.with("Channel", r.Namespace+"/"+r.Name).with("TikTok account", r.Account)
}

func receiptExpired() *outcome {
	return &outcome{
		result: ResultReceiptExpired, title: "This page has expired",
		what:  "The page told what came of an authorization some time ago.",
		means: "Opening it again changes nothing, and the authorization stays as it is.",
		next:  []string{"See how the channel is now: kubectl get tiktokchannels -A"},
	}
}

func stateInvalid() *outcome {
	return &outcome{
		result: ResultStateInvalid, title: "This answer does not belong to an authorization",
		what:  "TikTok's answer came without the proof that the authorization was started here, or the proof was changed.",
		means: "The answer was not used. Nothing was changed.",
		next:  []string{startAgain},
	}
}

func stateExpired() *outcome {
	return &outcome{
		result: ResultStateExpired, title: "The authorization took too long",
		what:  "Between opening the link and coming back from TikTok there may be ten minutes at most.",
		means: "TikTok's answer was not used. Nothing was changed.",
		next:  []string{startAgain},
	}
}

func stateReused() *outcome {
	return &outcome{
		result: ResultStateReused, title: "This answer has been used already",
		what:  "The page was loaded a second time. TikTok's answer can be used once.",
		means: "What the first time brought stays as it is.",
		next: []string{
			"If the first page said that the account is connected, nothing is left to do.",
			"Otherwise open the authorization link again.",
		},
	}
}

func browserMismatch() *outcome {
	return &outcome{
		result: ResultBrowserMismatch, title: "This is not the browser that began",
		what:  "The authorization was begun in another browser or app, or this browser does not keep cookies.",
		means: "So that nobody can slip you their own account, the answer was not used. Nothing was changed.",
		next: []string{
			"Allow cookies for this site.",
			"Open the authorization link again, and stay in the same browser until the end. " +
				"If TikTok's app opens on your phone, use a computer, or a private window.",
		},
	}
}

func denied(ch *v1alpha1.TiktokChannel) *outcome {
	o := &outcome{
		result: ResultDenied, title: "The authorization was declined",
		what:  "On TikTok's page, somebody chose not to give the permissions.",
		means: "The TikTok account was not connected. What the channel had before stays as it is.",
		next:  []string{"If that was a mistake, begin again and give the permissions.", startAgain},
		event: "The authorization was declined on TikTok's page.",
	}
	return o.of(ch)
}

func invalidScope(ch *v1alpha1.TiktokChannel, scopes []string) *outcome {
	o := &outcome{
		result: ResultInvalidScope, title: "The TikTok app lacks an approval",
		what: "TikTok has not approved the app for one of the permissions (scopes) that were asked for, and then refuses the whole " +
			"authorization. TikTok does not say which one it is.",
		means: "The TikTok account was not connected. Nothing is wrong with it; the app has to be changed.",
		next: []string{
			"The platform team compares the scopes below with those that TikTok's developer portal shows as approved.",
			fmt.Sprintf("Either it asks TikTok for the missing approval, or it shortens spec.scopes of the TiktokApp %s.", ch.Spec.AppRef.Name),
			"Then open the authorization link again.",
		},
		event: fmt.Sprintf("TikTok refused the authorization (invalid_scope): it has not approved the app for one of %s. Ask TikTok for the "+
			"approval, or shorten spec.scopes of TiktokApp %s.", strings.Join(scopes, ", "), ch.Spec.AppRef.Name),
	}
	return o.of(ch).with("Scopes asked for", scopes...)
}

func scopesMissing(ch *v1alpha1.TiktokChannel, account string, missing []string) *outcome {
	o := &outcome{
		result: ResultScopesMissing, title: "A permission was left out",
		what:  "On TikTok's page, permissions were switched off that the channel cannot work without. They are listed below.",
		means: "The TikTok account was not connected. What the channel had before stays as it is.",
		next: []string{
			"Open the authorization link again, and leave every permission switched on.",
			fmt.Sprintf("If the channel is to work without them, the platform team shortens spec.scopes of the TiktokApp %s.",
				ch.Spec.AppRef.Name),
		},
		event: fmt.Sprintf("The TikTok account %s did not grant %s, which TiktokApp %s requires.",
			account, strings.Join(missing, ", "), ch.Spec.AppRef.Name),
	}
	return o.of(ch).with("TikTok account", account).with("Permissions left out", missing...)
}

func wrongAccount(ch *v1alpha1.TiktokChannel, account, wanted string) *outcome {
	o := &outcome{
		result: ResultWrongAccount, title: "This channel is for another TikTok account",
		what:  fmt.Sprintf("You authorized the TikTok account %s, but the channel is for the account %s.", account, wanted),
		means: "The TikTok account was not connected. What the channel had before stays as it is.",
		next: []string{
			"Sign out of TikTok in this browser, or use a private window.",
			fmt.Sprintf("Open the authorization link again and sign in to TikTok as %s.", wanted),
			"To connect another account, create another channel: a channel keeps its account, because its history is that account's.",
		},
		event: fmt.Sprintf("The TikTok account %s authorized, but the channel is for the account %s.", account, wanted),
	}
	return o.of(ch).with("Account that authorized", account).with("Account of the channel", wanted)
}

// accountInUse names the other channel in the event only where it is of the same namespace: this channel's namespace must not learn of others.
func accountInUse(ch *v1alpha1.TiktokChannel, account, holderNamespace, holderName string, cause error) *outcome {
	o := &outcome{
		result: ResultAccountInUse, title: "This TikTok account is connected elsewhere", cause: cause,
		what:  fmt.Sprintf("The TikTok account %s is already connected to another channel in this cluster. An account has one channel.", account),
		means: "This channel was not connected. The other one is not affected.",
		next: []string{
			"To use this channel, the other one has to be deleted first. The platform team can say which one it is.",
			"Or open the authorization link again and sign in with another account.",
		},
		event: fmt.Sprintf("The TikTok account %s is connected to another channel in this cluster; the operator's log names it.", account),
	}
	if holderNamespace == ch.Namespace {
		o.event = fmt.Sprintf("The TikTok account %s is connected to TiktokChannel %s of this namespace.", account, holderName)
	}
	return o.of(ch).with("TikTok account", account)
}

func notStored(ch *v1alpha1.TiktokChannel, cause error) *outcome {
	o := unavailable(cause)
	o.title = "The tokens could not be stored"
	o.what = "TikTok gave its permission, but the cluster could not store it in time."
	o.means = "The account is not connected yet."
	o.event = "TikTok granted the authorization, but it could not be stored: the API server could not be reached in time."
	return o.of(ch)
}

// tiktokError is TikTok sending the browser back with an error that has no case of its own.
func tiktokError(ch *v1alpha1.TiktokChannel, code, description string) *outcome {
	o := &outcome{
		result: ResultTikTokRefused, title: "TikTok refused the authorization",
		what:  "TikTok sent you back with an error instead of a permission. It is named below.",
		means: "The TikTok account was not connected. What the channel had before stays as it is.",
		next:  []string{startAgain, ifAgain},
		event: fmt.Sprintf("TikTok refused the authorization: %s.", word(code)),
	}
	return o.of(ch).with("TikTok's error", word(code)).with("TikTok's words", sentence(description))
}

// exchangeFailed is TikTok answering the operator with an error.
func exchangeFailed(ch *v1alpha1.TiktokChannel, err error) *outcome {
	o := &outcome{cause: err, means: "The TikTok account was not connected. What the channel had before stays as it is."}
	switch tiktok.ClassOf(err) {
	case tiktok.ClassCodeRefused:
		o.result, o.title = ResultCodeRefused, "TikTok's answer has expired"
		o.what = "TikTok does not accept the code any more that it gave a moment ago: it was used already, or came too late."
		o.next = []string{startAgain}
		o.event = "TikTok refused its authorization code as used or expired."
	case tiktok.ClassAppCredentials, tiktok.ClassTokenRefused, tiktok.ClassScopeMissing:
		o.result, o.title = ResultAppRefused, "TikTok refused the app"
		o.what = "TikTok refuses the app's id and secret, or has not approved the app. The TikTok account is not the reason."
		o.next = []string{
			fmt.Sprintf("The platform team compares the app secret of the TiktokApp %s with TikTok's developer portal, and looks whether the "+
				"app is approved.", ch.Spec.AppRef.Name),
			"Then open the authorization link again.",
		}
		o.event = fmt.Sprintf("TikTok refused the app itself when the authorization was to be completed: see TiktokApp %s.", ch.Spec.AppRef.Name)
	case tiktok.ClassRateLimited:
		o.result, o.title = ResultTikTokBusy, "TikTok asks to wait"
		o.what = "The app has made more requests than TikTok allows."
		o.retryAfter = 5 * time.Minute
		o.next = []string{"Wait five minutes.", startAgain}
		o.event = "TikTok answered that the app made too many requests."
	case tiktok.ClassPermanent:
		o.result, o.title = ResultTikTokRefused, "TikTok refused the authorization"
		o.what = "TikTok gave a code but would not exchange it for a permission. Its words are below."
		o.next = []string{startAgain, ifAgain}
		o.event = "TikTok refused to complete the authorization."
	default:
		o.result, o.title = ResultTikTokUnreachable, "TikTok cannot be reached right now"
		o.what = "TikTok did not answer, or its answer could not be understood."
		o.retryAfter = time.Minute
		o.next = []string{"Wait a minute.", startAgain}
		o.event = "TikTok could not be reached to complete the authorization."
	}
	o.of(ch)
	var e *tiktok.Error
	if errors.As(err, &e) {
		if e.RetryAfter > 0 {
			o.retryAfter = e.RetryAfter
		}
		if e.Code != 0 {
			o.with("TikTok's error", strconv.Itoa(e.Code))
		}
		o.with("TikTok's words", sentence(e.Message)).with("TikTok's request id", sentence(e.RequestID))
	}
	return o
}
