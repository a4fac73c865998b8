package messagingapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"k8s.io/utils/clock"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/access/problem"
	"github.com/tiktok-operator/tiktok-operator/internal/business"
	"github.com/tiktok-operator/tiktok-operator/internal/messaging"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
)

const (
	// maxMedia bounds what one request brings in. TikTok names no limit of what users send; its app records videos of far fewer bytes for a message.
	maxMedia = 50 << 20
	// mediaTimeout bounds a download as a whole, and mediaProgress the time without any byte of it, in either direction.
	mediaTimeout, mediaProgress = 10 * time.Minute, 30 * time.Second
	// mediaGrace is for how long a download goes on when the process ends: less than the listener waits for.
	mediaGrace = 20 * time.Second
	mediaChunk = 32 << 10
)

// download is one that is under way.
type download struct {
	*tiktok.Media
	// giveBack ends it for those that wait.
	giveBack func()
	// head is what was read to tell the type.
	head []byte
	// progress says that something has moved.
	progress func()
}

// media streams the image or the video of a message. Nothing of it is kept.
func (a *API) media(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // the server's would end the request in the middle
	extendWriting(control)
	ctx, progress, cancel := a.watched(r.Context())
	defer cancel()
	d, err := a.download(ctx, r, progress)
	if err != nil {
		extendWriting(control)
		a.endpoint.Fail(w, r, err)
		return
	}
	defer d.giveBack()
	defer func() { _ = d.Body.Close() }() // it was only read
	h := w.Header()
	kind := fileType(d.head)
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", "inline")
	if kind == anyFile {
		h.Set("Content-Disposition", "attachment")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "no-store")
	if d.Length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(d.Length, 10))
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	if err := d.copyTo(w, control); err != nil {
		a.opts.Logger.V(1).Info("a download of media broke off", "namespace", r.PathValue("namespace"), "channel", r.PathValue("name"),
			"reason", err.Error())
		panic(http.ErrAbortHandler) // so that nobody takes a part for the whole
	}
}

// watched ends a download that takes too long, or does not get on.
func (a *API) watched(ctx context.Context) (_ context.Context, progress func(), cancel func()) {
	ctx, cancel = context.WithCancel(ctx)
	whole, stalled := a.opts.Clock.NewTimer(mediaTimeout), a.opts.Clock.NewTimer(mediaProgress)
	moved := make(chan struct{}, 1)
	go func() {
		defer whole.Stop()
		defer stalled.Stop()
		ended := a.opts.Reading.Streams.ended
		for {
			select {
			case <-ctx.Done():
				return
			case <-whole.C():
				cancel()
			case <-stalled.C():
				cancel()
			case <-ended:
				ended = nil
				whole.Reset(mediaGrace)
			case <-moved:
				stalled.Reset(mediaProgress)
			}
		}
	}()
	progress = func() {
		select {
		case moved <- struct{}{}:
		default:
		}
	}
	return ctx, progress, cancel
}

// download begins to download the media of the message that the path names.
func (a *API) download(ctx context.Context, r *http.Request, progress func()) (_ *download, err error) {
	if err := noParameters(r); err != nil {
		return nil, err
	}
	ch, err := a.endpoint.Channel(ctx, r)
	if err != nil {
		return nil, err
	}
	m, err := a.message(ctx, ch, r)
	if err != nil {
		return nil, err
	}
	ref := tiktok.MediaRef{ConversationID: m.Data.ConversationID, MessageID: m.ID}
	switch {
	case m.Data.Media == nil || m.Data.Media.ID == "" || m.ID == "":
	case m.Data.Kind == "image":
		ref.Type, ref.MediaID = tiktok.MediaImage, m.Data.Media.ID
	case m.Data.Kind == "video":
		ref.Type, ref.MediaID = tiktok.MediaVideo, m.Data.Media.ID
	}
	if ref.Type == "" {
		return nil, &problem.Error{Problem: problem.Problem{
			Name: "no-media", Status: http.StatusNotFound, Title: "The message has no media",
			Detail: "Only an image or a video that TikTok has told of has media.",
		}}
	}
	giveBack, ok := a.downloads.take(string(ch.UID))
	if !ok {
		return nil, a.downloads.tooMany("too-many-downloads", "downloads of media")
	}
	defer func() {
		if err != nil {
			giveBack()
		}
	}()
	session, err := a.opts.Reading.Sessions.Session(ctx, ch)
	if err != nil {
		return nil, mediaProblem(err, 0)
	}
	progress()
	media, err := session.Client.DownloadMedia(ctx, session.AccessToken, session.BusinessID, ref, maxMedia)
	if err != nil {
		return nil, a.downloadFailed(ch, session, err)
	}
	d := &download{Media: media, giveBack: giveBack, head: make([]byte, sniffed), progress: progress}
	n := 0
	for n < sniffed && err == nil { // not io.ReadFull: each part is progress
		var read int
		read, err = media.Body.Read(d.head[n:])
		n += read
		progress()
	}
	d.head = d.head[:n]
	if err == nil || errors.Is(err, io.EOF) && n > 0 {
		return d, nil
	}
	_ = media.Body.Close() // it was only read
	if errors.Is(err, io.EOF) {
		err = errors.New("they are empty")
	}
	return nil, a.downloadFailed(ch, session, err)
}

// copyTo passes the download on, each part within its time.
func (d *download) copyTo(w io.Writer, control *http.ResponseController) error {
	for part, buffer := d.head, make([]byte, mediaChunk); ; {
		extendWriting(control)
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("passing the media on: %w", err)
		}
		d.progress()
		n, err := d.Body.Read(buffer)
		part = buffer[:n]
		if err == nil {
			d.progress()
			continue
		}
		if !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading the media: %w", err)
		}
		_, err = w.Write(part)
		return err
	}
}

// extendWriting gives the next write its time. The socket's is the machine's, not that of a test.
func extendWriting(control *http.ResponseController) {
	_ = control.SetWriteDeadline(clock.RealClock{}.Now().Add(mediaProgress)) // where it cannot be set, the server's counts
}

// downloadFailed takes note of what an error says about the token and the app.
func (a *API) downloadFailed(ch *v1alpha1.TiktokChannel, session *business.Session, err error) error {
	after := a.opts.Reading.Throttle.Throttled(session.App, err)
	if tiktok.ClassOf(err) == tiktok.ClassTokenRefused {
		a.opts.Reading.Sessions.Forget(string(ch.UID))
	}
	a.opts.Logger.V(1).Info("media could not be had from TikTok", "namespace", ch.Namespace, "channel", ch.Name, "reason", err.Error())
	return mediaProblem(err, after)
}

// mediaProblem says of an error what the caller is told. It names no address: those of media are keys to them.
func mediaProblem(err error, after time.Duration) error {
	var unauthorized *business.NotAuthorizedError
	var failed *tiktok.Error
	p := problem.Problem{Name: "media-unavailable", Status: http.StatusBadGateway, Title: "TikTok does not give the media"}
	switch {
	case errors.As(err, &unauthorized):
		p.Name, p.Status, p.Title = string(messaging.ReasonChannelNotAuthorized), http.StatusConflict, "The channel cannot be used"
		p.Detail = unauthorized.Error()
	case errors.Is(err, tiktok.ErrMediaTooLarge):
		p.Name, p.Title = "media-too-large", "The media are too large"
		p.Detail = fmt.Sprintf("They are larger than the %d MiB that are passed on.", maxMedia>>20)
	case tiktok.ClassOf(err) == tiktok.ClassRateLimited:
		p.Name, p.Status, p.Title = "too-many-requests", http.StatusTooManyRequests, "Too many requests to TikTok"
		p.Detail, p.RetryAfter = "TikTok asks for a pause.", max(after, time.Second)
	case errors.As(err, &failed) && failed.Code != 0:
		p.Detail = fmt.Sprintf("TikTok refused the download with the code %d: %s", failed.Code, failed.Message)
		p.Members = map[string]any{"code": failed.Code}
		if failed.RequestID != "" {
			p.Members["requestID"] = failed.RequestID
		}
	case errors.As(err, &failed):
		p.Detail = "The download failed. Media that TikTok has deleted are gone; else asking again may help."
	default:
		p.Detail = "The download broke off. Ask again."
	}
	return &problem.Error{Problem: p}
}
