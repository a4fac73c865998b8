package cloudevent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	sdk "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"golang.org/x/net/http/httpguts"

	"github.com/tiktok-operator/tiktok-operator/internal/cloudevent"
)

// consumer is a sink that somebody wrote with the CloudEvents SDK: it hands on what arrives.
func consumer(t *testing.T) (address string, arrived <-chan sdk.Event) {
	t.Helper()
	protocol, err := sdk.NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan sdk.Event, 1)
	handler, err := sdk.NewHTTPReceiveHandler(t.Context(), protocol, func(e sdk.Event) { events <- e })
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL, events
}

// send makes the request as the dispatcher does.
func send(t *testing.T, address string, e cloudevent.Event) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(e.Data))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = e.Header()
	request.Header.Set("Ce-Replay", "true")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode/100 != 2 {
		t.Fatalf("the SDK refuses %+v with %d", e, response.StatusCode)
	}
}

// reads says what the SDK does not read of an event as it was sent; "" if it reads all. The Go SDK does not undo the percent-encoding that the
// HTTP protocol binding (3.1.3.2) asks for (cloudevents/sdk-go#1331): its user has to, where a text holds more than a URL does.
func reads(got sdk.Event, want cloudevent.Event) string {
	text := func(v string) string {
		plain, err := url.PathUnescape(v)
		if err != nil {
			return err.Error()
		}
		return plain
	}
	extension := func(name string) string {
		v, _ := got.Extensions()[name].(string)
		return v
	}
	for _, a := range []struct{ name, got, want string }{
		{"specversion", got.SpecVersion(), "1.0"}, {"id", text(got.ID()), want.ID}, {"source", text(got.Source()), want.Source},
		{"type", text(got.Type()), want.Type}, {"subject", text(got.Subject()), want.Subject},
		{"datacontenttype", got.DataContentType(), "application/json"}, {"time", got.Time().UTC().String(), want.Time.UTC().String()},
		{"partitionkey", text(extension("partitionkey")), want.PartitionKey}, {"data", string(got.Data()), string(want.Data)},
	} {
		if a.got != a.want {
			return fmt.Sprintf("%s is %q, was %q", a.name, a.got, a.want)
		}
	}
	if err := got.Validate(); err != nil {
		return err.Error()
	}
	return ""
}

func TestSDKReadsEveryType(t *testing.T) {
	address, arrived := consumer(t)
	seen := map[string]bool{}
	for name, in := range wire(t) {
		e, err := cloudevent.Normalize(in)
		if err != nil {
			t.Fatal(err)
		}
		send(t, address, e)
		got := <-arrived
		if problem := reads(got, e); problem != "" {
			t.Errorf("%s: %s", name, problem)
		}
		// As TikTok's ids are, nothing is encoded: whoever does not decode reads the same.
		if got.Subject() != e.Subject || got.ID() != e.ID || got.Source() != e.Source || got.Type() != e.Type {
			t.Errorf("%s arrives as %s", name, got)
		}
		extensions := 1
		if e.PartitionKey != "" {
			extensions++
		}
		if len(got.Extensions()) != extensions || got.Extensions()["replay"] != "true" {
			t.Errorf("%s: the extensions are %v", name, got.Extensions())
		}
		var data map[string]any
		if err := got.DataAs(&data); err != nil || len(data) == 0 {
			t.Errorf("%s: the data is %v (%v)", name, data, err)
		}
		seen[got.Type()] = true
	}
	for _, eventType := range types() {
		if !seen[eventType] {
			t.Errorf("no event of type %s was sent", eventType)
		}
	}
}

func TestSDKReadsOddConversations(t *testing.T) {
	address, arrived := consumer(t)
	for _, id := range []string{
		"abc+/def==", "-+/=", "0:1:6700:6800", "a%2Bb", "100%", "%", `say "hi"`, "a b", " a ", "a,b;c=d", "a\\b", "Ünïcödé", "会話", "😀", "a\u202eb", "{}", "'",
		"a\r\nCe-Type: evil", "\x00", "\u0085", "\ufffe", strings.Repeat("x", 512), strings.Repeat("é", 256), strings.Repeat("x", 513), strings.Repeat("😀", 4000),
	} {
		quoted, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range []string{"im_receive_msg", "im_send_msg", "im_mark_read_msg", "im_referral_msg", "im_receive_high_intent_comment",
			"im_receive_msg_eu", "im_auto_message_config_update", "im_auto_message_audit_update", "im_new"} {
			e, data := normalize(t, envelope(event, `{"conversation_id":`+string(quoted)+`}`))
			send(t, address, e)
			got := <-arrived
			if problem := reads(got, e); problem != "" {
				t.Errorf("%q: %s", id, problem)
			}
			if data["conversationID"] != id {
				t.Errorf("%q is %q in the data", id, data["conversationID"])
			}
			if fit := e.Subject == id; !fit && !strings.HasPrefix(e.Subject, "sha256-") {
				t.Errorf("%q became the subject %q", id, e.Subject)
			}
		}
	}
}

// binaryMode checks that a request of the event is HTTP, and that the SDK reads it in binary mode.
func binaryMode(t *testing.T, e cloudevent.Event) {
	t.Helper()
	header := e.Header()
	for name, values := range header {
		if !httpguts.ValidHeaderFieldName(name) || len(values) != 1 || !httpguts.ValidHeaderFieldValue(values[0]) {
			t.Fatalf("the header %s is %q", name, values)
		}
	}
	if !json.Valid(e.Data) {
		t.Fatalf("the data is not JSON: %q", e.Data)
	}
	request := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(e.Data))
	request.Header = header
	message := cehttp.NewMessageFromHttpRequest(request)
	if message.ReadEncoding() != binding.EncodingBinary {
		t.Fatal("it is not in binary mode")
	}
	got, err := binding.ToEvent(context.Background(), message)
	if err != nil {
		t.Fatalf("the SDK cannot read %+v: %v", e, err)
	}
	if problem := reads(*got, e); problem != "" {
		t.Fatal(problem)
	}
}
