package tiktok

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"time"
)

const uploadEndpoint = "business/message/media/upload/"

// MediaLifetime is how long TikTok keeps what was uploaded.
const MediaLifetime = 30 * 24 * time.Hour

// ImageType is an image's content type.
type ImageType string

// Types of images that TikTok takes.
const (
	ImageJPEG ImageType = "image/jpeg"
	ImagePNG  ImageType = "image/png"
)

// UploadImage gives TikTok an image and returns the id by which OutgoingMessage names it. The caller knows that data is what kind says.
func (c *Client) UploadImage(ctx context.Context, accessToken Secret, businessID string, kind ImageType, data []byte) (mediaID string, err error) {
	names := map[ImageType]string{ImageJPEG: "image.jpg", ImagePNG: "image.png"}
	switch {
	case businessID == "":
		return "", c.unsendable(uploadEndpoint, errors.New("the request lacks business_id"), accessToken)
	case len(data) == 0:
		return "", c.unsendable(uploadEndpoint, errors.New("the request lacks file"), accessToken)
	case names[kind] == "":
		return "", c.unsendable(uploadEndpoint, errors.New("the image is neither JPEG nor PNG"), accessToken)
	}
	var body bytes.Buffer
	body.Grow(len(data) + 1024)
	form := multipart.NewWriter(&body)
	for _, field := range [][2]string{{"business_id", businessID}, {"media_type", string(MediaImage)}} {
		_ = form.WriteField(field[0], field[1]) // a buffer takes everything
	}
	// The file's name is not the sender's: names are of no use to TikTok, and have broken out of headers before.
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="` + names[kind] + `"`}, "Content-Type": {string(kind)},
	})
	if err == nil {
		_, err = part.Write(data)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		return "", c.unsendable(uploadEndpoint, err, accessToken)
	}
	var answer uploadedWire
	err = c.do(ctx, call{
		method: http.MethodPost, endpoint: uploadEndpoint, accessToken: &accessToken,
		payload: &payload{form.FormDataContentType(), body.Bytes()},
	}, &answer)
	if err != nil {
		return "", err
	}
	return string(answer.MediaID), nil
}

type uploadedWire struct {
	MediaID text `json:"media_id"`
}

func (w *uploadedWire) lacks() string {
	if w.MediaID == "" {
		return "media_id"
	}
	return ""
}

// Capability says whether a conversation may have something.
type Capability string

// Answers to the question for a capability.
const (
	CapabilityUnknown Capability = ""
	CapabilityYes     Capability = "yes"
	CapabilityNo      Capability = "no"
)

const imageSend = "IMAGE_SEND"

// ImageCapability asks whether images may be sent into a conversation. An answer that cannot be read is CapabilityUnknown: TikTok's values are
// documented nowhere.
func (c *Client) ImageCapability(
	ctx context.Context, accessToken Secret, businessID, conversationID string, kind ConversationType,
) (Capability, error) {
	var data struct {
		Infos []optional[struct {
			Type   text            `json:"capability_type"`
			Result json.RawMessage `json:"capability_result"`
		}] `json:"capability_infos"`
	}
	err := c.do(ctx, call{
		method: http.MethodGet, endpoint: "business/message/capabilities/get/", accessToken: &accessToken,
		query: map[string]string{
			"business_id": businessID, "conversation_id": conversationID, "conversation_type": string(kind),
			"capability_types": `["` + imageSend + `"]`,
		},
	}, &data)
	if err != nil {
		return CapabilityUnknown, err
	}
	for _, info := range data.Infos {
		if upper(info.value.Type) == imageSend {
			return capabilityOf(info.value.Result), nil
		}
	}
	return CapabilityUnknown, nil
}

// capabilityOf reads a truth value, or a word that can mean only one thing.
func capabilityOf(raw json.RawMessage) Capability {
	var truth flag
	_ = truth.UnmarshalJSON(raw) // never fails
	if truth.value != nil {
		if *truth.value {
			return CapabilityYes
		}
		return CapabilityNo
	}
	var word text
	_ = word.UnmarshalJSON(raw)
	switch upper(word) {
	case "YES", "ALLOW", "ALLOWED", "ENABLE", "ENABLED", "SUPPORT", "SUPPORTED", "AVAILABLE":
		return CapabilityYes
	case "NO", "DENY", "DENIED", "DISABLE", "DISABLED", "UNSUPPORTED", "NOT_SUPPORT", "NOT_SUPPORTED", "NOT_ALLOWED", "UNAVAILABLE":
		return CapabilityNo
	}
	return CapabilityUnknown
}
