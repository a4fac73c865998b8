package simulator

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// userPath is where a person plays the TikTok user.
const userPath = "/user"

// actionText is what the page's first form does, and the one that is ready to be filled in.
const actionText = "text"

// maxUserConversations are shown of a business.
const maxUserConversations = 50

type shownConversation struct {
	User, Updated, Link string
	// Here: it is the one that is shown.
	Here bool
}

type userView struct {
	// Problem is why a form was refused; Text and Post are what was typed into it, so that it is not typed again.
	Problem, Text, Post string
	// Action of the form that is ready to be filled in.
	Action string

	Business   Business
	Businesses []Business
	User       string
	Self       string
	Others     []shownConversation
	Messages   []shownMessage
	// Allowed is what the business may still send.
	Allowed string
	Typing  bool
}

// Title is what tells tabs apart.
func (v userView) Title() string {
	if v.User == "" {
		return "TikTok user"
	}
	return v.User + " and " + v.Business.DisplayName
}

// Full says that earlier messages may be gone.
func (v userView) Full() bool { return len(v.Messages) == listedMessages }

// userPage shows a conversation from the user's side, and does what the user does.
func (s *Simulator) userPage(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	b, known := s.accounts.find(query.Get("business"))
	if !known {
		s.problem(w, http.StatusNotFound, "There is no such business: add it with POST /admin/businesses.")
		return
	}
	view := userView{Business: b, Businesses: s.accounts.first(maxOffered), User: clip(strings.TrimSpace(query.Get("user")), maxName)}
	view.Action, view.Post = actionText, samplePost
	view.Self = userLink(b.OpenID, view.User)
	status := http.StatusOK
	switch {
	case r.Method == http.MethodPost && view.User != "":
		err := s.userActs(w, r, &view)
		if err == nil {
			http.Redirect(w, r, view.Self, http.StatusSeeOther)
			return
		}
		status, view.Problem = http.StatusConflict, sentence(err)
		if !slices.Contains([]string{kindImage, kindPost}, view.Action) {
			view.Action = actionText
		}
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
func (s *Simulator) userActs(w http.ResponseWriter, r *http.Request, view *userView) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	e := Event{Event: eventReceive, Business: view.Business.OpenID, User: view.User}
	form, file, err := userForm(r)
	if err != nil {
		return err
	}
	view.Action = form.Get("action")
	switch view.Action {
	case actionText:
		e.Text = strings.ReplaceAll(form.Get("text"), "\r\n", "\n") // as browsers write new lines
		view.Text = e.Text
		if strings.TrimSpace(e.Text) == "" {
			return errors.New("the text is empty")
		}
	case "image":
		e.Kind, e.Image = kindImage, file
	case "sticker":
		e.Kind = kindSticker
	case "post":
		e.Kind, e.Post, view.Post = kindPost, form.Get("post"), form.Get("post")
	case "tap":
		e.Kind, e.Card, e.Button = kindTap, form.Get("card"), form.Get("button")
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
			link := userLink(view.Business.OpenID, conv.User)
			view.Others = append(view.Others, shownConversation{conv.User, clockTime(conv.Updated), link, conv.User == view.User})
		}
	}
	view.Typing, view.Allowed = open.Typing, allowed(view.Business, open, s.opts.Clock.Now())
	if view.User == "" {
		return
	}
	messages, _ := s.conversations.messages(view.Business.OpenID, id)
	slices.Reverse(messages)
	texts, undelivered := map[string]string{}, s.undelivered(id)
	for _, m := range messages {
		shown := s.shown(view.Business, m, texts)
		readBy := open.ReadByUser
		if !m.outbound {
			readBy = open.ReadByBusiness
		}
		if !shown.at.IsZero() && !shown.at.After(readBy) {
			shown.State = "read"
		}
		if why := undelivered[m.id]; why != "" && shown.Mine {
			shown.State = why
		}
		view.Messages = append(view.Messages, shown)
	}
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
