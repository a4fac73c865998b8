package simulator

import (
	"bytes"
	"container/list"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

const (
	// mediaPath is where download URLs lead.
	mediaPath = "/media/"
	mediaKind = "med."
	// maxImage is 3 MB; that TikTok counts a megabyte so is a guess.
	maxImage = 3 << 20
	// mediaFor is how long media are kept, and downloadFor how long an address of them works.
	mediaFor    = 30 * 24 * time.Hour
	downloadFor = 24 * time.Hour
	// maxMedia bytes are kept in all; what is oldest goes.
	maxMedia = 64 << 20
)

// medium is an image or a video of one business.
type medium struct {
	number         uint64
	id, business   string
	kind, fileType string
	content        []byte
	expires        time.Time
}

// mediaStore keeps media, the oldest in front.
type mediaStore struct {
	mu       sync.Mutex
	last     uint64
	size     int
	order    *list.List // of *medium
	byID     map[string]*list.Element
	byNumber map[uint64]*list.Element
}

func (st *mediaStore) add(m medium) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.order == nil {
		st.order, st.byID, st.byNumber = list.New(), map[string]*list.Element{}, map[uint64]*list.Element{}
	}
	st.last++
	m.number = st.last
	e := st.order.PushBack(&m)
	st.byID[m.id], st.byNumber[m.number] = e, e
	for st.size += len(m.content); st.size > maxMedia; {
		oldest := st.order.Front()
		gone, _ := st.order.Remove(oldest).(*medium) // nothing else is put in
		delete(st.byID, gone.id)
		delete(st.byNumber, gone.number)
		st.size -= len(gone.content)
	}
}

// find is a medium of a business that has not expired.
func (st *mediaStore) find(business, id string, now time.Time) (medium, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return mediumIn(st.byID[id], business, now)
}

func (st *mediaStore) numbered(business string, number uint64, now time.Time) (medium, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return mediumIn(st.byNumber[number], business, now)
}

func mediumIn(e *list.Element, business string, now time.Time) (medium, bool) {
	if e == nil {
		return medium{}, false
	}
	m, _ := e.Value.(*medium) // nothing else is put in
	if m.business != business || !now.Before(m.expires) {
		return medium{}, false
	}
	return *m, true
}

// fileTypeOf tells by the first bytes what TikTok takes; "" for other files.
func fileTypeOf(file []byte) string {
	switch {
	case bytes.HasPrefix(file, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	case bytes.HasPrefix(file, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	}
	return ""
}

// addImage keeps an image of either side.
func (s *Simulator) addImage(business string, file []byte, now time.Time) (id string, fail *failure) {
	fileType := fileTypeOf(file)
	switch {
	case fileType == "":
		return "", refuse(codeFileType, "Unsupported file type: must be JPG or PNG.")
	case len(file) > maxImage:
		return "", refuse(codeParameter, "file: larger than 3 MB.")
	}
	id = "media+" + s.number() + "/="
	s.media.add(medium{id: id, business: business, kind: "IMAGE", fileType: fileType, content: bytes.Clone(file), expires: now.Add(mediaFor)})
	return id, nil
}

func (s *Simulator) uploadMedia(c *call) (any, *failure) {
	if c.params["media_type"] != "IMAGE" {
		return nil, refuse(codeParameter, "media_type: must be IMAGE.")
	}
	id, fail := s.addImage(c.authorization.business, c.file, c.now)
	if fail != nil {
		return nil, fail
	}
	return map[string]any{"media_id": id}, nil
}

func (s *Simulator) downloadMedia(c *call) (any, *failure) {
	kind, business := c.params["media_type"], c.authorization.business
	if kind != "IMAGE" && kind != "VIDEO" {
		return nil, refuse(codeParameter, "media_type: must be one of IMAGE, VIDEO.")
	}
	messages, known := s.conversations.messages(business, c.params["conversation_id"])
	if !known {
		return nil, refuse(codeParameter, "conversation_id is invalid.")
	}
	for _, m := range messages {
		if m.id != c.params["message_id"] || mediaOf(m.content) != c.params["media_id"] {
			continue
		}
		if found, ok := s.media.find(business, c.params["media_id"], c.now); ok && found.kind == kind {
			key := s.authorizations.sealer.seal(mediaKind, ticket{authorization: found.number, expires: c.now.Add(downloadFor)})
			return map[string]any{"download_url": c.base + mediaPath + key}, nil
		}
	}
	return nil, refuse(codeNotFound, "The media do not exist in this message, or have expired.")
}

// mediaOf is the media id in a message's content.
func mediaOf(content json.RawMessage) string {
	var m struct {
		Image, Video struct {
			MediaID string `json:"media_id"`
		}
	}
	_ = json.Unmarshal(content, &m) // other types are a tester's choice
	if m.Image.MediaID != "" {
		return m.Image.MediaID
	}
	return m.Video.MediaID
}

// serveMedia answers a download URL to whoever holds a token of the business in the header x-user.
func (s *Simulator) serveMedia(w http.ResponseWriter, r *http.Request) {
	now := s.opts.Clock.Now()
	t, ok := s.authorizations.sealer.open(mediaKind, r.PathValue("key"))
	auth, known := s.authorizations.access(r.Header.Get("X-User"), now)
	switch {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", "GET")
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
	case !ok || !now.Before(t.expires):
		http.Error(w, "403 the address is wrong or has expired", http.StatusForbidden)
	case !known:
		http.Error(w, "401 the header x-user holds no access token that works", http.StatusUnauthorized)
	default:
		m, found := s.media.numbered(auth.business, t.authorization, now)
		if !found {
			http.Error(w, "404 page not found", http.StatusNotFound)
			return
		}
		writeMedium(w, m)
	}
}

func writeMedium(w http.ResponseWriter, m medium) {
	w.Header().Set("Content-Type", m.fileType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(m.content) // a client that left needs no media
}

func (s *Simulator) getCapabilities(c *call) (any, *failure) {
	if kind := c.params["conversation_type"]; kind != conversationSingle && kind != conversationStranger {
		return nil, refuse(codeParameter, "conversation_type: must be one of %s, %s.", conversationSingle, conversationStranger)
	}
	infos := []map[string]any{}
	known := s.conversations.change(c.authorization.business, c.params["conversation_id"], func(conv *conversation) {
		for _, kind := range c.lists["capability_types"] {
			if kind == "IMAGE_SEND" {
				infos = append(infos, map[string]any{"capability_type": kind, "capability_result": !conv.noImages})
			}
		}
	})
	switch {
	case !known:
		return nil, refuse(codeParameter, "conversation_id is invalid.")
	case len(infos) != 1 || len(c.lists["capability_types"]) != 1:
		return nil, refuse(codeParameter, `capability_types: must be ["IMAGE_SEND"].`)
	}
	return map[string]any{"capability_infos": infos}, nil
}
