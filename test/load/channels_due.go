package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/simulator"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
)

// allDue makes every channel due in the same second, and counts what that takes.
func (f *fleet) allDue(ctx context.Context) error {
	due, err := f.dateTokens(ctx)
	if err != nil {
		return err
	}
	before, err := f.apiWrites(ctx)
	if err != nil {
		return err
	}
	spent, err := f.refreshTokens(ctx)
	if err != nil {
		return err
	}
	f.report.check(len(spent) == f.options.channels, "%d different refresh tokens of %d channels", len(spent), f.options.channels)
	if err := f.pause(ctx, max(0, time.Until(due)-time.Second)); err != nil {
		return err
	}
	f.report.check(f.sim.CountCalls(refreshEndpoint) == 0, "%d refreshes before they were due", f.sim.CountCalls(refreshEndpoint))
	f.sim.ResetCalls()
	forgetPeak(f.manager.PID())
	used := processorTime()
	say("%d channels are due; at %d calls a second that takes %s at least", f.options.channels, f.rate, f.ideal().Round(time.Second))
	if err := f.settle(ctx, before, f.options.channels); err != nil {
		return err
	}
	took := time.Since(due)
	for name, now := range processorTime() {
		used[name] = now - used[name]
	}
	after, err := f.apiWrites(ctx)
	if err != nil {
		return err
	}
	if err := f.reportRefreshes(due, after.since(before)); err != nil {
		return err
	}
	f.report.note("While all were due, of one processor: %s.", shares(used, took))
	return f.checkTokens(ctx, spent)
}

// ideal is the time that the rate limit alone asks for.
func (f *fleet) ideal() time.Duration {
	return time.Duration(float64(f.options.channels) / float64(f.rate) * float64(time.Second))
}

// dateTokens dates every channel's tokens so that all are due at one time, when the manager has taken note of it.
func (f *fleet) dateTokens(ctx context.Context) (due time.Time, err error) {
	// It takes fewer writes than taking over did, but the manager's are now under its own limit of requests, and the machine may be busier.
	lead := 30*time.Second + max(f.adopted*3/2, time.Duration(float64(f.options.channels)*1.5/f.qps*float64(time.Second)))
	due = time.Now().UTC().Add(lead).Truncate(time.Second)
	before, err := f.apiWrites(ctx)
	if err != nil {
		return due, err
	}
	say("Dating all tokens so that they are due at %s", due.Local().Format("15:04:05"))
	err = parallel(ctx, len(f.channels), func(ctx context.Context, i int) error {
		ch, secret := f.channels[i], &corev1.Secret{}
		if err := f.k8s.Get(ctx, ch.TokenSecretKey(), secret); err != nil {
			return fmt.Errorf("reading a token Secret: %w", err)
		}
		t, err := token.Decode(secret)
		if err != nil {
			return fmt.Errorf("reading a token Secret: %w", err)
		}
		shift := due.Sub(token.RefreshAt(t, 0, string(ch.UID)))
		t.ObtainedAt, t.AccessTokenExpiresAt = t.ObtainedAt.Add(shift), t.AccessTokenExpiresAt.Add(shift)
		maps.Copy(secret.Data, t.Data())
		secret.Annotations[v1alpha1.ObtainedAtAnnotation] = t.ObtainedAt.Format(time.RFC3339)
		if err := f.k8s.Update(ctx, secret); err != nil {
			return fmt.Errorf("dating a token Secret: %w", err)
		}
		return nil
	})
	if err != nil {
		return due, err
	}
	if err := f.settle(ctx, before, f.options.channels); err != nil {
		return due, err
	}
	if time.Now().After(due.Add(-2 * time.Second)) {
		return due, fmt.Errorf("this machine took too long to write %d Secrets and statuses: try fewer -channels", len(f.channels))
	}
	return due, nil
}

// refreshTokens are the stored refresh tokens, as the simulator's log of calls shows them.
func (f *fleet) refreshTokens(ctx context.Context) (map[string]bool, error) {
	tokens := map[string]bool{}
	err := f.eachSecret(ctx, func(s *corev1.Secret) {
		tokens[simulator.Fingerprint(string(s.Data[v1alpha1.RefreshTokenKey]))] = true
	})
	return tokens, err
}

func (f *fleet) eachSecret(ctx context.Context, visit func(*corev1.Secret)) error {
	return each(ctx, f.k8s, &corev1.SecretList{}, func(page *corev1.SecretList) error {
		for i := range page.Items {
			visit(&page.Items[i])
		}
		return nil
	}, client.HasLabels{v1alpha1.ChannelLabel})
}

func (f *fleet) reportRefreshes(due time.Time, writes apiWrites) error {
	n := float64(f.options.channels)
	calls := f.sim.Calls(refreshEndpoint)
	if len(calls) == 0 {
		return fmt.Errorf("no token was refreshed")
	}
	took := slices.MaxFunc(calls, func(a, b simulator.Call) int { return a.Time.Compare(b.Time) }).Time.Sub(due)
	ratio := took.Seconds() / f.ideal().Seconds()
	_, peak, err := memory(f.manager.PID())
	f.report.add(
		row{
			work: fmt.Sprintf("all due at once, %d calls/s", f.rate), measured: fmt.Sprintf("%.1f s", took.Seconds()),
			reference: fmt.Sprintf("%.1f s", f.ideal().Seconds()), ratio: number(ratio), budget: "≤ " + number(pacingBudget), met: ratio <= pacingBudget,
		},
		told("  refreshes", "%d of %d", len(calls), f.options.channels),
		atMost("  API writes a refresh", float64(writes.total())/n, writesBudget, ""),
		atMost("  calls to TikTok a refresh", float64(len(calls))/n, 1, ""),
		told("  other calls to TikTok", "%d", f.sim.CountCalls("")-len(calls)), // the app's webhook is looked at now and then
		told("  manager resident, peak", "%.0f MiB", peak))
	f.report.note("API writes while all were due: %s.", writes)
	return err
}

// checkTokens checks that every token was spent exactly once, and that every channel holds the one that TikTok now accepts.
func (f *fleet) checkTokens(ctx context.Context, spent map[string]bool) error {
	times, refused, unknown := map[string]int{}, 0, 0
	for _, call := range f.sim.Calls(refreshEndpoint) {
		spentNow := call.Parameters["refresh_token"]
		times[spentNow]++
		if call.Code != 0 {
			refused++
		}
		if !spent[spentNow] {
			unknown++
		}
	}
	twice := 0
	for _, n := range times {
		if n > 1 {
			twice++
		}
	}
	kept, lost := 0, 0
	err := f.eachSecret(ctx, func(s *corev1.Secret) {
		if f.sim.RefreshTokenWorks(string(s.Data[v1alpha1.RefreshTokenKey])) {
			kept++
		} else {
			lost++
		}
	})
	f.report.add(told("  tokens kept, lost, spent twice", "%d, %d, %d", kept, lost, twice))
	f.report.check(len(times) == f.options.channels, "%d of %d channels were refreshed", len(times), f.options.channels)
	f.report.check(twice == 0, "%d refresh tokens were spent more than once", twice)
	f.report.check(unknown == 0, "%d refreshes of tokens that were not due", unknown)
	f.report.check(refused == 0, "TikTok refused %d refreshes", refused)
	f.report.check(kept == f.options.channels && lost == 0, "%d channels hold a token that TikTok accepts, %d one that it does not", kept, lost)
	return err
}
