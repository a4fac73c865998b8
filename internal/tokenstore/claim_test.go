package tokenstore_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// TestOneOfManyClaims: managers claim at the same moment, a Secret that is there or that has to be made. One may call TikTok; the others are
// told to look again, and then until when to wait.
func TestOneOfManyClaims(t *testing.T) {
	const racers = 6
	for round := range 8 {
		ch := newChannel(t)
		if round%2 == 1 {
			ch = connected(t)
		}
		processes := make([]*process, racers)
		for i := range processes {
			processes[i] = newProcess(t, fmt.Sprint("manager-", i))
		}
		snap := processes[0].read(t, ch)
		var all sync.WaitGroup
		start, errs := make(chan struct{}), make([]error, racers)
		for i, p := range processes {
			all.Go(func() {
				<-start
				_, errs[i] = p.Claim(t.Context(), ch, snap)
			})
		}
		close(start)
		all.Wait()
		winners := 0
		for i, err := range errs {
			if err == nil {
				winners++
				continue
			}
			var claimed *tokenstore.ClaimedError
			if !errors.Is(err, tokenstore.ErrChanged) {
				t.Errorf("round %d: %v", round, err)
			}
			if _, err := processes[i].Claim(t.Context(), ch, processes[i].read(t, ch)); !errors.As(err, &claimed) {
				t.Errorf("round %d: the second look: %v", round, err)
			} else if !claimed.Until.Equal(begun.Add(30 * time.Second)) {
				t.Errorf("round %d: until %s", round, claimed.Until)
			}
		}
		if winners != 1 {
			t.Fatalf("round %d: %d managers may spend the refresh token", round, winners)
		}
	}
}

// TestClaimLifetime: who may claim, some time after a manager claimed and was not heard of again.
func TestClaimLifetime(t *testing.T) {
	for name, tc := range map[string]struct {
		holder string
		after  time.Duration
		until  time.Duration // from then on; zero: it may
	}{
		"another at once":                 {"other", 0, 30 * time.Second},
		"another in time":                 {"other", 30*time.Second - time.Millisecond, time.Millisecond},
		"another after it ended":          {"other", 30 * time.Second, 0},
		"another whose clock is behind":   {"other", -time.Hour, 30 * time.Second},
		"the same":                        {"first", 5 * time.Second, 0},
		"the same after it ended":         {"first", time.Hour, 0},
		"the same, whose clock went back": {"first", -time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ch := connected(t)
			newProcess(t, "first").claim(t, ch)
			p := newProcess(t, tc.holder)
			p.SetTime(begun.Add(tc.after))
			claimed, err := p.Claim(t.Context(), ch, p.read(t, ch))
			if tc.until != 0 {
				var other *tokenstore.ClaimedError
				if !errors.As(err, &other) || !other.Until.Equal(p.Now().Add(tc.until)) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := token.Claim{Holder: tc.holder, Time: p.Now()}
			if got := p.read(t, ch).State.Claim; got == nil || *got != want || *claimed.Base().State.Claim != want {
				t.Errorf("claim %+v, want %+v", got, want)
			}
		})
	}
}

// TestClaimOfWhatChanged: the Secret was written, deleted or made anew since it was read.
func TestClaimOfWhatChanged(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *v1alpha1.TiktokChannel){
		"written": func(t *testing.T, ch *v1alpha1.TiktokChannel) { authorize(t, ch, 2, 1) },
		"deleted": func(t *testing.T, ch *v1alpha1.TiktokChannel) { remove(t, secretOf(t, ch)) },
		"made anew": func(t *testing.T, ch *v1alpha1.TiktokChannel) {
			remove(t, secretOf(t, ch))
			authorize(t, ch, 2, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ch, p := connected(t), newProcess(t, "manager")
			snap := p.read(t, ch)
			change(t, ch)
			if _, err := p.Claim(t.Context(), ch, snap); !errors.Is(err, tokenstore.ErrChanged) {
				t.Errorf("%v", err)
			}
			if name != "deleted" {
				has(t, ch, 2)
			}
		})
	}
}

// TestRelease: a claim that brought nothing leaves the tokens, and what was learned.
func TestRelease(t *testing.T) {
	ch, p := connected(t), newProcess(t, "manager")
	claimed := p.claim(t, ch)
	if entries := journalled(t, p.dir); len(entries) != 1 || entries[0].Tokens != nil || entries[0].UID != string(ch.UID) {
		t.Errorf("journal while TikTok is called: %+v", entries)
	}
	memory := token.Memory{HandledRequest: "now"}
	if err := claimed.Release(t.Context(), memory); err != nil {
		t.Fatal(err)
	}
	if snap := has(t, ch, 1); snap.State.Memory != memory {
		t.Errorf("memory %+v", snap.State.Memory)
	}
	if entries := journalled(t, p.dir); len(entries) != 0 {
		t.Errorf("journal afterwards: %+v", entries)
	}
	p.WaitPending()
	newProcess(t, "other").claim(t, ch)
}

// TestBeginRefuses: TikTok is not called where the answer could be lost, or where another manager may be about to call.
func TestBeginRefuses(t *testing.T) {
	ch, p := connected(t), newProcess(t, "manager")
	claimed, err := p.Claim(t.Context(), ch, p.read(t, ch))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(p.dir); err != nil {
		t.Fatal(err)
	}
	if err := claimed.Begin(); err == nil {
		t.Error("without a journal")
	}
	late := newProcess(t, "manager")
	if claimed, err = late.Claim(t.Context(), ch, late.read(t, ch)); err != nil {
		t.Fatal(err)
	}
	late.Step(token.ClaimUsable + time.Millisecond)
	if err := claimed.Begin(); err == nil {
		t.Error("with a claim that was long in coming")
	}
}
