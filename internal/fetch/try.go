package fetch

import (
	"sync"
	"time"

	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// maxTries bounds what is remembered of jobs.
const maxTries = 10_000

// try is what this process has done for a job. The log counts how often it gave the job to somebody, also where that was turned away because
// another job of the channel was under way, so that count says little. To forget a try costs further attempts.
type try struct {
	// attempts that this process made.
	attempts int
	// looks are those that read the conversations to their end, and did not find the message.
	looks int
	// passes of the channel that had begun when the job came, or when it was last looked for; -1 before.
	passes int64
	// incomplete says that TikTok did not show all that may be new when the conversations were read for the job.
	incomplete bool
}

// delay before the next attempt.
func (t try) delay() time.Duration { return eventlog.JobDelay(t.attempts) }

// tries are those of jobs that are not done, by channel and job.
type tries struct {
	mu    sync.Mutex
	byJob map[[2]string]try
}

func keyOf(j eventlog.Job) [2]string { return [2]string{j.ChannelUID, j.ID} }

func (t *tries) get(j eventlog.Job) try {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.byJob[keyOf(j)]; ok {
		return known
	}
	return try{passes: -1}
}

func (t *tries) put(j eventlog.Job, made try) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byJob == nil || len(t.byJob) >= maxTries {
		t.byJob = map[[2]string]try{}
	}
	t.byJob[keyOf(j)] = made
}

func (t *tries) drop(j eventlog.Job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byJob, keyOf(j))
}
