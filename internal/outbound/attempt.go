package outbound

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

// stage is how far the sending of a message came.
type stage string

const (
	// idle: TikTok does not have the message, and it may be sent.
	idle stage = "idle"
	// called: TikTok may have the message, or not.
	called stage = "called"
	// sent: TikTok has it.
	sent stage = "sent"
	// refused: TikTok refused it. Under this key it is not sent any more.
	refused stage = "refused"
)

// attempt is what is remembered of the sending of one message.
type attempt struct {
	Stage stage `json:"stage"`
	// SendID is the operator's id of the message.
	SendID string `json:"sendID"`
	// Request is a digest of what was asked for: a key stands for one message.
	Request string `json:"request"`
	// AcceptedAt is when it was asked for first.
	AcceptedAt time.Time `json:"acceptedAt"`
	// Until is when the process that is at it counts as dead if it has not written again; zero if none is.
	Until time.Time `json:"until,omitzero"`
	// CalledAt is when TikTok was called the last time.
	CalledAt time.Time `json:"calledAt,omitzero"`
	// Summary is what TikTok's webhook of the message would say, in short.
	Summary cloudevent.ContentSummary `json:"summary"`
	// MessageID is TikTok's, once sent.
	MessageID string `json:"messageID,omitempty"`
	// Refusal is TikTok's, once refused.
	Refusal *TikTokRefusal `json:"refusal,omitempty"`
}

// decodeAttempt reads what is remembered; nil if nothing is.
func decodeAttempt(value []byte) (*attempt, error) {
	if value == nil {
		return nil, nil
	}
	a := &attempt{}
	if err := json.Unmarshal(value, a); err != nil {
		return nil, fmt.Errorf("reading what is remembered of a message: %w", err)
	}
	return a, nil
}

func (a *attempt) encode() ([]byte, error) {
	value, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("writing down what is remembered of a message: %w", err)
	}
	return value, nil
}

// step is what to do about a message.
type step string

const (
	// stepSend: nobody has sent it, and nobody is at it.
	stepSend step = "send"
	// stepAnswer what came of it.
	stepAnswer step = "answer"
	// stepWait: somebody is at it.
	stepWait step = "wait"
	// stepSettle whether TikTok has it.
	stepSettle step = "settle"
	// stepReject: the key stands for another message.
	stepReject step = "reject"
)

// decide says what to do about a request, by what is remembered of its key; nil is nothing.
func decide(a *attempt, request string, now time.Time) step {
	switch {
	case a == nil:
		return stepSend
	case a.Request != request:
		return stepReject
	case a.Stage == sent, a.Stage == refused:
		return stepAnswer
	case now.Before(a.Until) && a.Until.Sub(now) <= patience: // a time farther ahead is of a clock that was set back since
		return stepWait
	case a.Stage == idle:
		return stepSend
	default: // called, or a stage of a later version
		return stepSettle
	}
}
