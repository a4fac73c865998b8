package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access"
	"github.com/tiktok-operator/tiktok-operator/test/program"
)

// question is the user's message that is answered.
const question = "Thanks, I'll take two."

// reply does what an application does: it sends a text and an image, learns why TikTok would not take a message, and hears that the user read.
func (g *guide) reply(ctx context.Context) error {
	token, err := g.messenger(ctx)
	if err != nil {
		return err
	}
	a := &application{
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the demo's own certificate, on loopback
		}},
		address: g.private + "/v1/namespaces/default/channels/demo/conversations/" + url.PathEscape(g.sink.conversationOf(question)) + "/messages",
		token:   token,
	}
	const text, key = "They are on their way!", "order-66"
	sent, err := a.sendText(ctx, text, key)
	if err != nil {
		return err
	}
	say("Sent a text: message %s, status %s", sent.ID, sent.Status)
	again, err := a.sendText(ctx, text, key)
	if err != nil {
		return err
	}
	if again.ID != sent.ID {
		return fmt.Errorf("the repeated request sent another message, %s", again.ID)
	}
	say("The same request again, with the same Idempotency-Key: the same message, sent once")
	picture, err := a.sendImage(ctx, "")
	if err != nil {
		return err
	}
	say("Sent an image: message %s, status %s", picture.ID, picture.Status)
	_, err = a.sendImage(ctx, "And a text with it")
	var refused *refusal
	if !errors.As(err, &refused) {
		return fmt.Errorf("a message with a text and an image was not refused: %w", err)
	}
	say("Refused, with HTTP %d: %s", refused.Status, refused.Detail)
	for _, status := range []string{"delivered", "read"} {
		if status == "read" {
			if err := post(ctx, g.simulator+"/admin/events", `{"event":"im_mark_read_msg","user":"alice"}`); err != nil {
				return err
			}
		}
		if err := program.Wait(ctx, time.Minute, "the sink to hear that the text is "+status, func() (bool, error) {
			return g.sink.told(sent.ID, status), nil
		}); err != nil {
			return err
		}
	}
	say("The user has read the text")
	return nil
}

// messenger makes a ServiceAccount that may send, and returns a token of it.
func (g *guide) messenger(ctx context.Context) (string, error) {
	meta := metav1.ObjectMeta{Namespace: "default", Name: "demo-messenger"}
	account := &corev1.ServiceAccount{ObjectMeta: meta}
	for _, object := range []client.Object{
		account,
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{v1alpha1.Group}, Resources: []string{"tiktokchannels/messages"}, ResourceNames: []string{"demo"}, Verbs: []string{"create"},
		}}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: meta.Namespace, Name: meta.Name}},
		},
	} {
		if err := client.IgnoreAlreadyExists(g.k8s.Create(ctx, object)); err != nil {
			return "", fmt.Errorf("creating %T: %w", object, err)
		}
		g.closers = append(g.closers, func() error {
			return client.IgnoreNotFound(g.k8s.Delete(context.WithoutCancel(ctx), object))
		})
	}
	if err := g.allowed(ctx, "system:serviceaccount:"+meta.Namespace+":"+meta.Name, &authorizationv1.ResourceAttributes{
		Group: v1alpha1.Group, Resource: "tiktokchannels", Subresource: "messages", Name: "demo", Verb: "create",
	}); err != nil {
		return "", err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{access.DefaultAudience}}}
	if err := g.k8s.SubResource("token").Create(ctx, account, request); err != nil {
		return "", fmt.Errorf("requesting a token for the messaging API: %w", err)
	}
	return request.Status.Token, nil
}

// allowed waits until somebody may do something in the namespace default: the API server reads roles that were just made a little later.
func (s *stage) allowed(ctx context.Context, user string, to *authorizationv1.ResourceAttributes) error {
	to.Namespace = metav1.NamespaceDefault
	return program.Wait(ctx, time.Minute, "the roles of "+user+" to count", func() (bool, error) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: to}}
		if err := s.k8s.Create(ctx, review); err != nil {
			return false, fmt.Errorf("asking what %s may do: %w", user, err)
		}
		return review.Status.Allowed, nil
	})
}

// application sends into one conversation.
type application struct {
	client         *http.Client
	address, token string
}

// outgoing is a message as the API tells of it.
type outgoing struct{ ID, Status string }

// refusal is a problem that the API answered with.
type refusal struct {
	Type, Detail string
	Status       int
}

// Error implements error.
func (r *refusal) Error() string { return fmt.Sprintf("HTTP %d, %s: %s", r.Status, r.Type, r.Detail) }

func (a *application) sendText(ctx context.Context, text, key string) (*outgoing, error) {
	body, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return nil, fmt.Errorf("encoding a message: %w", err)
	}
	return a.send(ctx, "application/json", bytes.NewReader(body), key)
}

// sendImage sends a picture, and a text in the same message if there is one.
func (a *application) sendImage(ctx context.Context, text string) (*outgoing, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("image", "heart.png")
	if err == nil {
		err = png.Encode(part, picture())
	}
	if err == nil && text != "" {
		err = form.WriteField("text", text)
	}
	if err = errors.Join(err, form.Close()); err != nil {
		return nil, fmt.Errorf("writing a form: %w", err)
	}
	return a.send(ctx, form.FormDataContentType(), &body, "")
}

func picture() image.Image {
	p := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for i := range 64 * 64 {
		p.Set(i%64, i/64, color.RGBA{R: 0xfe, G: 0x2c, B: 0x55, A: 0xff})
	}
	return p
}

func (a *application) send(ctx context.Context, contentType string, body io.Reader, key string) (*outgoing, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.address, body)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+a.token)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	resp, err := a.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("sending a message: %w", err)
	}
	defer resp.Body.Close()
	answer := json.NewDecoder(resp.Body)
	if resp.StatusCode != http.StatusCreated {
		refused := &refusal{}
		if err := answer.Decode(refused); err != nil {
			return nil, fmt.Errorf("reading the answer HTTP %d: %w", resp.StatusCode, err)
		}
		return nil, refused
	}
	sent := &outgoing{}
	if err := answer.Decode(sent); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return sent, nil
}
