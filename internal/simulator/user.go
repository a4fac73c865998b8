package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// userPath is where a person plays the TikTok user.
const userPath = "/user"

// maxUserConversations are shown of a business.
const maxUserConversations = 50

type shownConversation struct{ User, Updated, Link string }

// shownMessage is a message as the user reads it.
type shownMessage struct {
	ID, From, Time, State, Text, Image, Quoted string
	Buttons                                    []string
	at                                         time.Time
}

type userView struct {
	Problem    string
	Business   Business
	Businesses []Business
	User       string
	Self       string
	Others     []shownConversation
	Messages   []shownMessage
	Typing     bool
}

// userPage shows a conversation from the user's side, and does what the user does.
func (s *Simulator) userPage(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	b, known := s.accounts.find(query.Get("business"))
	if !known {
		s.problem(w, http.StatusNotFound, "There is no such business: add it with POST /admin/businesses.")
		return
	}
	view := userView{Business: b, Businesses: s.accounts.first(maxOffered), User: clip(query.Get("user"), maxName)}
	view.Self = userLink(b.OpenID, view.User)
	status := http.StatusOK
	switch {
	case r.Method == http.MethodPost && view.User != "":
		err := s.userActs(w, r, view)
		if err == nil {
			http.Redirect(w, r, view.Self, http.StatusSeeOther)
			return
		}
		status, view.Problem = http.StatusConflict, sentence(err)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD, POST")
		s.problem(w, http.StatusMethodNotAllowed, "This page answers GET, HEAD and POST only; POST needs a user.")
		return
	}
	s.fillView(&view)
	s.page(w, status, "user", view)
}

func userLink(business, user string) string {
	return userPath + "?" + url.Values{"business": {business}, "user": {user}}.Encode()
}

// userActs does what a form of the page asks for.
func (s *Simulator) userActs(w http.ResponseWriter, r *http.Request, view userView) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	e := Event{Event: eventReceive, Business: view.Business.OpenID, User: view.User}
	form, file, err := userForm(r)
	if err != nil {
		return err
	}
	switch form.Get("action") {
	case "text":
		if e.Text = form.Get("text"); e.Text == "" {
			return errors.New("the text is empty")
		}
	case "image":
		e.Kind, e.Image = kindImage, file
	case "sticker":
		e.Kind = kindSticker
	case "post":
		e.Kind, e.Post = kindPost, form.Get("post")
	case "read":
		e.Event = eventRead
	default:
		return errors.New("the form's action is not known")
	}
	_, err = s.SendEvent(r.Context(), e)
	return err
}

// userForm reads a form with or without a file.
func userForm(r *http.Request) (url.Values, []byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "multipart/form-data" {
		if err := r.ParseForm(); err != nil {
			return nil, nil, errors.New("the form cannot be read")
		}
		return r.PostForm, nil, nil
	}
	if err := r.ParseMultipartForm(maxForm); err != nil { //nolint:gosec // MaxBytesReader bounds it
		return nil, nil, errors.New("the form cannot be read, or is too large")
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }() // all of it is in memory
	var file bytes.Buffer
	for _, header := range r.MultipartForm.File["file"] {
		f, err := header.Open()
		if err != nil {
			return nil, nil, errors.New("the file cannot be read")
		}
		_, err = io.Copy(&file, f)
		_ = f.Close() // it was only read
		if err != nil {
			return nil, nil, errors.New("the file cannot be read")
		}
	}
	return r.PostForm, file.Bytes(), nil
}

func (s *Simulator) fillView(view *userView) {
	var open Conversation
	id := conversationOf(view.Business.OpenID, view.User)
	for _, conv := range s.Conversations(view.Business.OpenID) {
		if conv.ID == id {
			open = conv
		}
		if conv.ID == conversationOf(view.Business.OpenID, conv.User) && len(view.Others) < maxUserConversations {
			updated := conv.Updated.UTC().Format(time.DateTime)
			view.Others = append(view.Others, shownConversation{conv.User, updated, userLink(view.Business.OpenID, conv.User)})
		}
	}
	view.Typing = open.Typing
	if view.User == "" {
		return
	}
	messages, _ := s.conversations.messages(view.Business.OpenID, id)
	slices.Reverse(messages)
	texts := map[string]string{}
	for _, m := range messages {
		shown := s.shown(view.Business, m, texts)
		readBy := open.ReadByUser
		if !m.outbound {
			readBy = open.ReadByBusiness
		}
		if !shown.at.IsZero() && !shown.at.After(readBy) {
			shown.State = "read"
		}
		view.Messages = append(view.Messages, shown)
	}
}

// shown is a message for the page; texts are those of the messages before, for quotes.
func (s *Simulator) shown(b Business, m message, texts map[string]string) shownMessage {
	var c struct {
		Timestamp json.Number
		Type      json.RawMessage
		Text      struct{ Body string }
		SharePost struct {
			VideoID string `json:"video_id"`
		} `json:"share_post"`
		Template struct {
			Elements []struct {
				Title   string
				Buttons []struct{ Text string }
			}
		}
		Referenced struct {
			ID string `json:"referenced_message_id"`
		} `json:"referenced_message_info"`
	}
	_ = json.Unmarshal(m.content, &c) // what a tester made otherwise is shown by its type
	out := shownMessage{ID: m.id, From: "You", Text: c.Text.Body}
	if m.outbound {
		out.From = b.String()
	}
	if ms, err := c.Timestamp.Int64(); err == nil {
		out.at = time.UnixMilli(ms).UTC()
		out.Time = out.at.Format(time.DateTime)
	}
	switch kind := stringOf(c.Type); kind {
	case "image":
		out.Image = userPath + "/media?" + url.Values{"business": {b.OpenID}, "id": {mediaOf(m.content)}}.Encode()
	case "share_post":
		out.Text = "Shared post " + c.SharePost.VideoID
	case "sticker":
		out.Text = "Sticker: a waving hand"
	case "template":
		for _, e := range c.Template.Elements {
			out.Text = e.Title
			for _, button := range e.Buttons {
				out.Buttons = append(out.Buttons, button.Text)
			}
		}
	case "text":
	default:
		out.Text = "A message of the type " + kind
	}
	if c.Referenced.ID != "" {
		out.Quoted = texts[c.Referenced.ID]
		if out.Quoted == "" {
			out.Quoted = "an earlier message"
		}
	}
	texts[m.id] = out.Text
	if out.Image != "" {
		texts[m.id] = "an image"
	}
	return out
}

// userMedia shows an image on the page: whoever plays the user needs no token.
func (s *Simulator) userMedia(w http.ResponseWriter, r *http.Request) {
	m, known := s.media.find(r.URL.Query().Get("business"), r.URL.Query().Get("id"), s.opts.Clock.Now())
	if !known || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		http.Error(w, "404 page not found", http.StatusNotFound)
		return
	}
	writeMedium(w, m)
}
