package ingest_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
	"github.com/tiktok-operator/tiktok-operator/internal/ingest"
)

// jobs takes all jobs that wait, and says how many there were: an extra one ends the waiting.
func (f *fixture) jobs(t *testing.T) (jobs []eventlog.Job) {
	t.Helper()
	fence := eventlog.Job{Kind: ingest.JobFetch, Record: eventlog.Record{ID: time.Now().String(), App: "fence", ChannelUID: "fence"}}
	if err := f.log.AddJob(t.Context(), fence); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	taken := make(chan eventlog.Job, 100)
	if err := f.log.WorkJobs(ctx, ingest.JobFetch, func(_ context.Context, j eventlog.Job) error {
		if taken <- j; j.App == "fence" {
			cancel()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	close(taken)
	fenced := false
	for j := range taken {
		if j.App == "fence" {
			fenced = true
			continue
		}
		jobs = append(jobs, j)
	}
	if !fenced {
		t.Fatal("not all jobs came")
	}
	return jobs
}

func eu(at int) []byte {
	return envelope("im_receive_msg_eu", business, map[string]any{"to": "shop", "to_user": map[string]any{"id": business}, "timestamp": at})
}

// TestMessagesWithoutContentAreToBeFetched: 200 means that the event is stored and that its message will be looked for, once.
func TestMessagesWithoutContentAreToBeFetched(t *testing.T) {
	f := setup(t, channel("ch", "uid-1", business))
	f.broken.jobErr = &eventlog.UnavailableError{Doing: "storing a job", Err: errors.New("no answer")}
	if w := f.post("/webhooks/app", eu(1), secret); w.Code != http.StatusServiceUnavailable {
		t.Fatalf("without a job: %d %s", w.Code, w.Body)
	}
	f.broken.jobErr = nil
	for range 2 { // TikTok tries again, and again though it need not
		if w := f.post("/webhooks/app", eu(1), secret); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	f.post("/webhooks/app", text("m", "c"), secret)
	events, jobs := f.events(t, "uid-1"), f.jobs(t)
	if len(events) != 2 || len(jobs) != 1 {
		t.Fatalf("%d events, %d jobs; want 2 and 1", len(events), len(jobs))
	}
	if j := jobs[0]; j.ID != events[0].ID || j.ChannelUID != "uid-1" || j.App != "app" || j.BusinessID != business || string(j.Body) != string(eu(1)) {
		t.Errorf("job %+v", j)
	}
}

// TestMessagesWithoutContentOfLaterChannels: the job comes with the channel, and is not lost with the routing's end.
func TestMessagesWithoutContentOfLaterChannels(t *testing.T) {
	f := setup(t)
	for _, body := range [][]byte{eu(1), text("m", "c"), eu(2)} {
		if w := f.post("/webhooks/app", body, secret); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if jobs := f.jobs(t); len(jobs) != 0 {
		t.Fatalf("jobs for nobody: %+v", jobs)
	}
	ch := channel("ch", "uid-1", business)
	if err := f.client.Create(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	f.broken.jobErr = errors.New("no answer")
	if err := f.router.Ensure(t.Context(), ch); err == nil {
		t.Fatal("routing succeeded without a job")
	}
	f.broken.jobErr = nil
	if err := f.router.Ensure(t.Context(), ch); err != nil {
		t.Fatal(err)
	}
	events, jobs := f.events(t, "uid-1"), f.jobs(t)
	if len(events) != 3 || len(jobs) != 2 {
		t.Fatalf("%d events, %d jobs; want 3 and 2", len(events), len(jobs))
	}
	for _, j := range jobs {
		if j.ChannelUID != "uid-1" || j.BusinessID != business {
			t.Errorf("job %+v", j)
		}
	}
}
