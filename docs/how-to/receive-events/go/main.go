// Command go receives the events of a TikTok channel: it checks that they come from the operator, and keeps each of them once.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	tolerance = 5 * time.Minute
	maxBody   = 4 << 20
)

var validID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// receiver keeps each event as a file of the folder inbox, named by its id.
type receiver struct {
	key   []byte
	inbox string
}

func main() {
	key, err := signingKey(os.Getenv("WEBHOOK_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	r := &receiver{key: key, inbox: env("INBOX", "inbox")}
	if err := os.MkdirAll(r.inbox, 0o700); err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: env("ADDRESS", ":8080"), Handler: r, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// ServeHTTP answers 2xx once the event is kept, 4xx to what must not come again, and 5xx to what must.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusRequestEntityTooLarge)
		return
	}
	if err := verify(r.key, req.Header, body, time.Now()); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	id := req.Header.Get("webhook-id") // it is signed, and the same as ce-id
	event := map[string]any{"id": id, "type": req.Header.Get("ce-type"), "subject": req.Header.Get("ce-subject"), "data": json.RawMessage(body)}
	text, err := json.Marshal(event)
	if err != nil {
		http.Error(w, "the body is not JSON", http.StatusBadRequest)
		return
	}
	first, err := r.keep(id, text)
	if err != nil {
		log.Print(err)
		http.Error(w, "the event cannot be kept now", http.StatusServiceUnavailable)
		return
	}
	if first {
		fmt.Println("received", event["type"], id) // the work of your service begins here
	}
	w.WriteHeader(http.StatusNoContent)
}

// keep says whether the event came for the first time.
func (r *receiver) keep(id string, text []byte) (first bool, err error) {
	f, err := os.CreateTemp(r.inbox, ".partial-")
	if err != nil {
		return false, fmt.Errorf("keeping an event: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return false, fmt.Errorf("keeping an event: %w", err)
	}
	err = os.Link(f.Name(), filepath.Join(r.inbox, id+".json")) // of two at the same time, one succeeds
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// verify checks a signature of Standard Webhooks.
func verify(key []byte, h http.Header, body []byte, now time.Time) error {
	id, timestamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	if !validID.MatchString(id) {
		return errors.New("webhook-id is missing or malformed")
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return errors.New("webhook-timestamp is missing, or more than five minutes off")
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for signature := range strings.FieldsSeq(h.Get("webhook-signature")) { // two while the secret is changed
		if hmac.Equal([]byte(signature), want) {
			return nil
		}
	}
	return errors.New("no signature matches")
}

// signingKey reads whsec_ and base64, or a text of at least 24 bytes.
func signingKey(secret string) ([]byte, error) {
	key := []byte(strings.TrimSpace(secret))
	if encoded, ok := strings.CutPrefix(string(key), "whsec_"); ok {
		var err error
		if key, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "=")); err != nil {
			return nil, errors.New("WEBHOOK_SECRET is whsec_, but not base64 after that")
		}
	}
	if len(key) < 24 {
		return nil, errors.New("WEBHOOK_SECRET is missing or too short")
	}
	return key, nil
}

func env(name, other string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return other
}
