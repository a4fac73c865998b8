package tickets

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Lives of tickets.
const (
	LinkLifetime    = 24 * time.Hour
	StateLifetime   = 10 * time.Minute
	ReceiptLifetime = time.Hour
)

// Leeway is how far the clocks of the manager and of the webhook may differ: a ticket is accepted for so long after its end, and before its
// beginning.
const Leeway = time.Minute

const (
	issuer          = "tiktok-operator"
	linkAudience    = "authorization-link"
	stateAudience   = "authorization-state"
	receiptAudience = "authorization-receipt"
)

// Errors of Verify…; anything that is not ErrExpired is ErrInvalid.
var (
	// ErrExpired: the ticket was good once.
	ErrExpired = errors.New("the ticket has expired")
	// ErrInvalid: the ticket was not made here, was changed, is of another kind, or is not valid yet.
	ErrInvalid = errors.New("the ticket is not valid")
)

// Link starts the authorization of one channel, as long as it is in the given epoch.
type Link struct {
	Namespace, Name, UID string
	Epoch                int64
}

// State comes back from TikTok. It is of one browser and good for one use.
type State struct {
	Link
	// ID is unique; whoever sees it first uses it up.
	ID string
	// Browser is the digest of the cookie of the browser that started.
	Browser string
	// AcceptedUntil is set by VerifyState: from then on the state is refused, so that its ID need not be remembered for longer.
	AcceptedUntil time.Time
}

// Receipt says on a page of its own what an authorization connected. It gives no right to anything.
type Receipt struct {
	// Namespace and Name of the channel.
	Namespace, Name string
	// Account is what the page calls the TikTok account.
	Account string
	// Suspended says that the channel was suspended at the time.
	Suspended bool
}

type claims struct {
	jwt.RegisteredClaims
	Namespace string `json:"ns"`
	Name      string `json:"name"`
	Epoch     int64  `json:"epoch,omitempty"`
	Browser   string `json:"browser,omitempty"`
	Account   string `json:"account,omitempty"`
	Suspended bool   `json:"suspended,omitempty"`
}

// SignLink makes a link that is good for LinkLifetime.
func (k Keys) SignLink(l Link, now time.Time) (string, error) {
	return k.sign(claims{Namespace: l.Namespace, Name: l.Name, Epoch: l.Epoch, RegisteredClaims: registered(l.UID, "", linkAudience, now, LinkLifetime)})
}

// SignState makes a state that is good for StateLifetime.
func (k Keys) SignState(s State, now time.Time) (string, error) {
	return k.sign(claims{
		Namespace: s.Namespace, Name: s.Name, Epoch: s.Epoch, Browser: s.Browser,
		RegisteredClaims: registered(s.UID, s.ID, stateAudience, now, StateLifetime),
	})
}

// SignReceipt makes a receipt that is good for ReceiptLifetime.
func (k Keys) SignReceipt(r Receipt, now time.Time) (string, error) {
	return k.sign(claims{
		Namespace: r.Namespace, Name: r.Name, Account: r.Account, Suspended: r.Suspended,
		RegisteredClaims: registered("", "", receiptAudience, now, ReceiptLifetime),
	})
}

func registered(subject, id, audience string, now time.Time, lifetime time.Duration) jwt.RegisteredClaims {
	return jwt.RegisteredClaims{
		Issuer: issuer, Subject: subject, ID: id, Audience: jwt.ClaimStrings{audience},
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(lifetime)),
	}
}

func (k Keys) sign(c claims) (string, error) {
	if len(k.Current.bytes) == 0 {
		return "", ErrNoKeys
	}
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	t.Header["kid"] = k.Current.ID()
	signed, err := t.SignedString(k.Current.bytes)
	if err != nil {
		return "", fmt.Errorf("signing a ticket: %w", err)
	}
	return signed, nil
}

// VerifyLink checks a link. The error is ErrExpired or ErrInvalid.
func (k Keys) VerifyLink(token string, now time.Time) (Link, error) {
	c, err := k.verify(token, linkAudience, now)
	if err != nil {
		return Link{}, err
	}
	if c.Subject == "" {
		return Link{}, ErrInvalid
	}
	return Link{Namespace: c.Namespace, Name: c.Name, UID: c.Subject, Epoch: c.Epoch}, nil
}

// VerifyState checks a state. The error is ErrExpired or ErrInvalid.
func (k Keys) VerifyState(token string, now time.Time) (State, error) {
	c, err := k.verify(token, stateAudience, now)
	if err != nil {
		return State{}, err
	}
	if c.Subject == "" || c.ID == "" || c.Browser == "" {
		return State{}, ErrInvalid
	}
	return State{
		Link: Link{Namespace: c.Namespace, Name: c.Name, UID: c.Subject, Epoch: c.Epoch},
		ID:   c.ID, Browser: c.Browser, AcceptedUntil: c.ExpiresAt.Add(Leeway),
	}, nil
}

// VerifyReceipt checks a receipt. The error is ErrExpired or ErrInvalid.
func (k Keys) VerifyReceipt(token string, now time.Time) (Receipt, error) {
	c, err := k.verify(token, receiptAudience, now)
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{Namespace: c.Namespace, Name: c.Name, Account: c.Account, Suspended: c.Suspended}, nil
}

// verify accepts a ticket of one kind that either key signed. What the ticket says of itself (its kid, its alg) chooses nothing.
func (k Keys) verify(token, audience string, now time.Time) (claims, error) {
	const maxTicket = 4096
	if len(token) > maxTicket {
		return claims{}, ErrInvalid
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(Leeway), jwt.WithTimeFunc(func() time.Time { return now }),
		jwt.WithStrictDecoding(),
	)
	err := ErrInvalid
	for _, key := range []Key{k.Current, k.Previous} {
		if len(key.bytes) == 0 {
			continue
		}
		var c claims
		_, parseErr := parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return key.bytes, nil })
		if parseErr == nil && c.Namespace != "" && c.Name != "" {
			return c, nil
		}
		if onlyExpired(parseErr) {
			err = ErrExpired
		}
	}
	return claims{}, err
}

// onlyExpired tells a ticket whose time is over from one that also is of another kind: only the former was ever good here. The parser looks
// at claims after the signature, so neither can be said of a forged one.
func onlyExpired(err error) bool {
	if !errors.Is(err, jwt.ErrTokenExpired) {
		return false
	}
	for _, other := range []error{jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenUsedBeforeIssued} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}
