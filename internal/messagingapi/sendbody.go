package messagingapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
)

const (
	// maxJSON holds the longest text with every character escaped.
	maxJSON = 256 << 10
	// maxForm is an image that TikTok may take, and the form around it.
	maxForm = messaging.MaxImageBytesDoubtful + 64<<10
	// maxParts of a form: more are of no use.
	maxParts = 8
	// maxField is a text in a form.
	maxField = 64 << 10
	// sendTimeout bounds a request to send.
	sendTimeout = 2 * time.Minute
)

// SendRequest is the body of a request to send: exactly one of text, image, post and card.
type SendRequest struct {
	// Text of the message, up to 6,000 characters.
	Text string `json:"text,omitempty"`
	// ReplyTo is the id of the message that a text quotes.
	ReplyTo string `json:"replyTo,omitempty"`
	// Image that TikTok has already.
	Image *SendImage `json:"image,omitempty"`
	// Post of the business's own.
	Post *SendPost `json:"post,omitempty"`
	// Card with buttons to tap.
	Card *SendCard `json:"card,omitempty"`
}

// SendImage names an image that was uploaded to TikTok before.
type SendImage struct {
	// MediaID is TikTok's.
	MediaID string `json:"mediaID"`
}

// SendPost names a post.
type SendPost struct {
	// ID is TikTok's.
	ID string `json:"id"`
}

// SendCard is a question with answers to tap.
type SendCard struct {
	// Kind is buttons or links.
	Kind string `json:"kind"`
	// Title is the question, up to 40 characters.
	Title string `json:"title"`
	// Buttons are the answers, 1 to 3.
	Buttons []SendButton `json:"buttons"`
}

// SendButton is an answer.
type SendButton struct {
	// Label is what the user reads: up to 20 characters, 40 on a card of links.
	Label string `json:"label"`
	// ID comes back when it is tapped, up to 40 characters.
	ID string `json:"id"`
}

// isForm says whether the body may hold an image.
func isForm(r *http.Request) bool {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), "/")
	return strings.EqualFold(strings.TrimSpace(kind), "multipart")
}

// readMessage reads the body, JSON or a form with an image, in its limits.
func readMessage(w http.ResponseWriter, r *http.Request) (messaging.Message, []byte, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/json":
		m, err := readJSON(http.MaxBytesReader(w, r.Body, maxJSON))
		return m, nil, tooLarge(err, maxJSON)
	case err == nil && kind == "multipart/form-data" && params["boundary"] != "":
		m, image, err := readForm(multipart.NewReader(http.MaxBytesReader(w, r.Body, maxForm), params["boundary"]))
		return m, image, tooLarge(err, maxForm)
	default:
		return messaging.Message{}, nil, &problem.Error{Problem: problem.Problem{
			Name: "unsupported-media-type", Status: http.StatusUnsupportedMediaType, Title: "The body is of a type that is not understood",
			Detail: "Send application/json, or multipart/form-data with an image in the part named image.",
		}}
	}
}

// tooLarge makes a problem of what was longer than its limit.
func tooLarge(err error, limit int64) error {
	var large *http.MaxBytesError
	if !errors.As(err, &large) {
		return err
	}
	return &problem.Error{Problem: problem.Problem{
		Name: "request-too-large", Status: http.StatusRequestEntityTooLarge, Title: "The request is too large",
		Detail: fmt.Sprintf("The body has more than %d bytes. TikTok takes texts of 6,000 characters and images of 3 MB.", limit),
	}}
}

func readJSON(body io.Reader) (messaging.Message, error) {
	var in SendRequest
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return messaging.Message{}, malformed(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return messaging.Message{}, malformed(errors.New("something follows the JSON object"))
	}
	m := messaging.Message{Text: in.Text, QuotedMessageID: in.ReplyTo}
	if in.Image != nil {
		if in.Image.MediaID == "" {
			return messaging.Message{}, problem.Invalid("image.mediaID is missing. To send a file, send a form (multipart/form-data) with a part image.")
		}
		m.ImageMediaID = in.Image.MediaID
	}
	if in.Post != nil {
		if in.Post.ID == "" {
			return messaging.Message{}, problem.Invalid("post.id is missing: it is the id of one of the business's own posts.")
		}
		m.PostID = in.Post.ID
	}
	if in.Card != nil {
		m.Card = &messaging.Card{Kind: messaging.CardKind(in.Card.Kind), Title: in.Card.Title}
		for _, b := range in.Card.Buttons {
			m.Card.Buttons = append(m.Card.Buttons, messaging.Button(b))
		}
	}
	return m, nil
}

// malformed tells what is wrong with a body without quoting more of it than the name of a field.
func malformed(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	var wrong *json.UnmarshalTypeError
	detail := "The body is not a JSON object of the documented form (see /openapi.json)."
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		detail = fmt.Sprintf("The field %s is not of the documented type (see /openapi.json).", wrong.Field)
	default:
		if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			detail = fmt.Sprintf("The body has a field that is not known: %.100s. Known are text, replyTo, image, post and card.", field)
		}
	}
	return problem.Invalid(detail)
}

// readForm reads a form: the file in the part image, and what JSON has beside it, which the rules refuse.
func readForm(form *multipart.Reader) (messaging.Message, []byte, error) {
	var m messaging.Message
	var image []byte
	for n := 0; ; n++ {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return m, nil, brokenForm(err)
		}
		if n == maxParts {
			return m, nil, problem.Invalid(fmt.Sprintf("The form has more than %d parts.", maxParts))
		}
		switch name := part.FormName(); name {
		case "image":
			data, err := io.ReadAll(part)
			if err != nil {
				return m, nil, brokenForm(err)
			}
			inspected, refusal := messaging.InspectImage(data)
			if refusal != nil {
				return m, nil, sendProblem(refusal)
			}
			m.Images, image = append(m.Images, inspected), data
		case "text", "replyTo":
			text, err := io.ReadAll(io.LimitReader(part, maxField+1))
			if err != nil {
				return m, nil, brokenForm(err)
			}
			if len(text) > maxField {
				return m, nil, problem.Invalid(fmt.Sprintf("The part %s is too long.", name))
			}
			if name == "text" {
				m.Text = string(text)
			} else {
				m.QuotedMessageID = string(text)
			}
		default:
			return m, nil, problem.Invalid(fmt.Sprintf("The form has a part that is not known: %.100q. Known are image, text and replyTo.", name))
		}
	}
	if len(m.Images) == 0 {
		return m, nil, problem.Invalid("The form has no part named image. Send a text, a post or a card as application/json.")
	}
	return m, image, nil
}

func brokenForm(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return problem.Invalid("The form breaks off, or is not multipart/form-data.")
}
