package tiktok_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/sink"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

func cannedClient(t *testing.T, body []byte) *tiktok.Client {
	return newClient(t, "", func(c *tiktok.Config) {
		c.HTTPClient = &http.Client{Transport: canned{status: http.StatusOK, contentType: "application/json", body: body}}
	})
}

// TestUploadOnTheWire pins the form that TikTok receives.
func TestUploadOnTheWire(t *testing.T) {
	server := serve(t, answerJSON(`{"code":0,"data":{"media_id":9007199254740993}}`))
	image := []byte("\x89PNG\r\n--boundary\r\n\x00\xff")
	id, err := newClient(t, server.URL).UploadImage(soon(t), access, "-000biz", tiktok.ImagePNG, image)
	if err != nil || id != "9007199254740993" {
		t.Fatalf("%q, %v", id, err)
	}
	got := server.taken()[0]
	kind, params, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || got.method != http.MethodPost || got.path != "/business/message/media/upload/" {
		t.Fatalf("%s %s of type %s", got.method, got.path, kind)
	}
	if got.header.Get("Access-Token") != access.Reveal() {
		t.Error("the token is missing")
	}
	form, err := multipart.NewReader(strings.NewReader(got.body), params["boundary"]).ReadForm(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(form.Value) != "map[business_id:[-000biz] media_type:[IMAGE]]" || len(form.File["file"]) != 1 {
		t.Fatalf("fields %v, files %v", form.Value, form.File)
	}
	file, err := form.File["file"][0].Open()
	if err != nil {
		t.Fatal(err)
	}
	sent, err := io.ReadAll(file)
	if err != nil || !bytes.Equal(sent, image) || form.File["file"][0].Header.Get("Content-Type") != "image/png" {
		t.Errorf("sent %q (%v) as %v", sent, err, form.File["file"][0].Header)
	}
}

var videoRef = tiktok.MediaRef{ConversationID: "c+/=", MessageID: "7", MediaID: "m", Type: tiktok.MediaVideo}

// download serves the first half of a download, which leads to path of the same server, and everything else with the handler.
func download(t *testing.T, path string, handler http.HandlerFunc) *fakeTikTok {
	t.Helper()
	var server *fakeTikTok
	server = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/business/message/media/download/" {
			answerJSON(`{"code":0,"data":{"download_url":"`+server.URL+path+`"}}`)(w, r)
			return
		}
		handler(w, r)
	})
	return server
}

func TestDownload(t *testing.T) {
	server := download(t, "/m/1?sig=x", answer(200, "video/mp4; codecs=x", "0123456789"))
	var observed []string
	client := newClient(t, server.URL, func(c *tiktok.Config) {
		c.Observe = func(o tiktok.Observation) { observed = append(observed, o.Endpoint+" "+o.Code) }
	})
	media, err := client.DownloadMedia(soon(t), access, "b", videoRef, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer media.Body.Close()
	body, err := io.ReadAll(media.Body)
	if err != nil || string(body) != "0123456789" || media.ContentType != "video/mp4" || media.Length != 10 {
		t.Fatalf("%q, %v, %+v", body, err, media)
	}
	requests := server.taken()
	if len(requests) != 2 || requests[1].header.Get("X-User") != access.Reveal() || requests[1].header.Get("Access-Token") != "" {
		t.Fatalf("the second request has the header %v", requests[len(requests)-1].header)
	}
	for _, want := range []string{`"conversation_id":"c+/="`, `"media_type":"VIDEO"`, `"media_id":"m"`, `"message_id":"7"`, `"business_id":"b"`} {
		if !strings.Contains(requests[0].body, want) {
			t.Errorf("asked with %s, which lacks %s", requests[0].body, want)
		}
	}
	if fmt.Sprint(observed) != "[business/message/media/download/ 0 download_url 0]" {
		t.Errorf("observed %q", observed)
	}
}

// TestDownloadsAreBounded: announced or not, no more is read than allowed.
func TestDownloadsAreBounded(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"announced": answer(200, "image/png", "0123456789A"),
		"unannounced": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "01234")
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "56789A")
		},
	} {
		client := newClient(t, download(t, "/m", handler).URL)
		media, err := client.DownloadMedia(soon(t), access, "b", videoRef, 10)
		if (err != nil) != (name == "announced") {
			t.Errorf("%s: %v before anything was read", name, err)
		}
		read := 0
		if err == nil {
			var body []byte
			body, err = io.ReadAll(media.Body)
			read = len(body)
			_ = media.Body.Close()
		}
		if !errors.Is(err, tiktok.ErrMediaTooLarge) || read > 10 {
			t.Errorf("%s: %d bytes, %v", name, read, err)
		}
	}
}

// TestDownloadsStayWhereTheyMay: the token and the connection go nowhere but to the API's own host, or over TLS to where the guard lets them.
func TestDownloadsStayWhereTheyMay(t *testing.T) {
	elsewhere := serve(t, answerJSON(`{}`))
	tlsElsewhere := strings.Replace(elsewhere.URL, "http:", "https:", 1)
	refuse := func(string, string, syscall.RawConn) error { return errors.New("not a public address") }
	for name, tt := range map[string]struct {
		address, says string
		guard         func(string, string, syscall.RawConn) error
	}{
		"plain":                 {elsewhere.URL + "/?key=k3y", "not https", refuse},
		"plain, no guard":       {elsewhere.URL, "not https", nil},
		"no guard":              {tlsElsewhere, "another host", nil},
		"the guard":             {tlsElsewhere + "/?key=k3y", "not a public address", refuse},
		"a user":                {"https://u:p@x.example/", "without a user", refuse},
		"a file":                {"file:///etc/passwd", "absolute URL", refuse},
		"another scheme":        {"gopher://x.example/", "not https", refuse},
		"no address":            {"://", "absolute URL", refuse},
		"metadata of the cloud": {"http://169.254.169.254/latest/", "not https", refuse},
	} {
		server := serve(t, answerJSON(`{"code":0,"data":{"download_url":"`+tt.address+`"}}`))
		client := newClient(t, server.URL, func(c *tiktok.Config) { c.DialDownload = tt.guard })
		_, err := client.DownloadMedia(soon(t), access, "b", videoRef, 10)
		if e := asError(t, err); !strings.Contains(e.Error(), tt.says) || strings.Contains(e.Error(), "k3y") {
			t.Errorf("%s: %v, want %q", name, e, tt.says)
		}
	}
	for name, tt := range map[string]struct {
		location, says string
		requests       int
	}{
		"to another host":   {elsewhere.URL, "another host", 2},
		"to another scheme": {"file:///etc/passwd", "another host", 2},
		"to nowhere":        {"", "too often", 5},
		"in a circle":       {"/m", "too often", 5},
	} {
		server := download(t, "/m", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", tt.location)
			w.WriteHeader(http.StatusFound)
		})
		_, err := newClient(t, server.URL).DownloadMedia(soon(t), access, "b", videoRef, 10)
		if e := asError(t, err); !strings.Contains(e.Message, tt.says) || len(server.taken()) != tt.requests {
			t.Errorf("a redirect %s: %v after %d requests", name, e, len(server.taken()))
		}
	}
	if n := len(elsewhere.taken()); n != 0 {
		t.Errorf("%d requests arrived elsewhere", n)
	}
}

// TestDownloadsThroughTheGuard: with the guard of sinks, no way of writing an address leads to this machine or its network.
func TestDownloadsThroughTheGuard(t *testing.T) {
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inside was reached") }))
	defer inside.Close()
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"} {
		server := serve(t, answerJSON(`{"code":0,"data":{"download_url":"https://`+host+`:`+port+`/"}}`))
		client := newClient(t, server.URL, func(c *tiktok.Config) { c.DialDownload = sink.Guard })
		_, err := client.DownloadMedia(soon(t), access, "b", videoRef, 10)
		if e := asError(t, err); strings.Contains(e.Message, "certificate") || e.HTTPStatus != 0 {
			t.Errorf("%s: %v, so it was dialled", host, e)
		}
	}
}

// TestRefusedDownloads: an address that has expired must not look like a token that has.
func TestRefusedDownloads(t *testing.T) {
	for status, want := range map[int]tiktok.Class{
		401: tiktok.ClassPermanent, 403: tiktok.ClassPermanent, 404: tiktok.ClassPermanent, 429: tiktok.ClassRateLimited,
		500: tiktok.ClassTransient, 204: tiktok.ClassMalformed, 206: tiktok.ClassMalformed,
	} {
		server := download(t, "/m?key=k3y", answer(status, "text/plain", access.Reveal()))
		_, err := newClient(t, server.URL).DownloadMedia(soon(t), access, "b", videoRef, 10)
		if e := asError(t, err); e.Class != want || e.HTTPStatus != status || leaks(err, []string{access.Reveal(), "k3y"}) != "" {
			t.Errorf("HTTP %d: %+v, want %s", status, e, want)
		}
	}
}

// TestMediaErrorsHoldNoSecrets: whatever TikTok echoes of an upload or a download, or the connection says of either.
func TestMediaErrorsHoldNoSecrets(t *testing.T) {
	forms := []string{access.Reveal(), appSecret.Reveal(), "k3y"}
	echo := answerJSON(`{"code":40002,"message":"bad ` + access.Reveal() + ` ` + appSecret.Reveal() + `"}`)
	cut := download(t, "/m?key=k3y", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "01")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for _, endpoint := range []string{serve(t, echo).URL, "http://" + closedAddress(t), cut.URL} {
		client := newClient(t, endpoint)
		_, err := client.UploadImage(soon(t), access, "b", tiktok.ImageJPEG, []byte("x"))
		if endpoint != cut.URL && (err == nil || leaks(err, forms) != "") {
			t.Errorf("upload: %v", err)
		}
		media, err := client.DownloadMedia(soon(t), access, "b", videoRef, 10)
		if err == nil {
			_, err = io.ReadAll(media.Body)
			_ = media.Body.Close()
		}
		if err == nil || leaks(err, forms) != "" {
			t.Errorf("download: %v", err)
		}
	}
}
