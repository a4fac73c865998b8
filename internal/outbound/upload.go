package outbound

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

// uploaded is an image that TikTok has.
type uploaded struct {
	MediaID string    `json:"mediaID"`
	At      time.Time `json:"at"`
}

// upload gives TikTok the image of a message, unless it has it: the same file of the same business is uploaded once while that is remembered.
func (s *Sender) upload(ctx context.Context, j *job, session *business.Session) (mediaID string, err error) {
	id := "image/" + session.App.Spec.AppID + "/" + session.BusinessID + "/" + digest(string(j.Image))
	value, revision, err := s.opts.Log.LoadSend(ctx, id)
	if err != nil {
		return "", fmt.Errorf("looking for an earlier upload: %w", err)
	}
	var known uploaded
	if value != nil && json.Unmarshal(value, &known) == nil && s.opts.Clock.Since(known.At) < tiktok.MediaLifetime-24*time.Hour {
		return known.MediaID, nil
	}
	if err := s.turn(ctx, j.Channel, session.App); err != nil {
		return "", err
	}
	kind := tiktok.ImageJPEG
	if len(j.Message.Images) > 0 && j.Message.Images[0].Format == messaging.PNG {
		kind = tiktok.ImagePNG
	}
	calling, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	mediaID, err = session.Client.Granted().UploadImage(calling, session.AccessToken, session.BusinessID, kind, j.Image)
	if err != nil {
		return "", s.notUploaded(session, err)
	}
	if value, err = json.Marshal(uploaded{mediaID, s.opts.Clock.Now()}); err == nil {
		_, err = s.opts.Log.SaveSend(ctx, id, value, revision)
	}
	if err != nil { // the next one uploads it again
		s.opts.Logger.V(1).Info("an upload could not be remembered", "reason", err.Error())
	}
	return mediaID, nil
}

// notUploaded says what an upload that failed means: the message was not sent in any case.
func (s *Sender) notUploaded(session *business.Session, err error) error {
	r := result{outcome: classify(err), err: err}
	refusal := r.refusal(nil)
	switch r.outcome {
	case outcomeRefused, outcomeBlocked:
		return refusal
	case outcomeToken:
		return refusal
	case outcomeThrottled:
		return &NotSentError{Throttled: true, RetryAfter: s.opts.Apps.Throttled(session.App, err), Explanation: refusal.Explanation, Cause: err}
	default:
		return &NotSentError{Explanation: "The image could not be uploaded to TikTok, and the message was not sent. Send it again.", Cause: err}
	}
}
