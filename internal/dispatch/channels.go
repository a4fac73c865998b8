package dispatch

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/eventlog"
)

// Apply makes the Dispatcher serve the channel as it is now: new sinks begin, changed ones go on at their position with what changed, removed
// ones end and are forgotten. It waits until Start has loaded the positions. It may be called again after an error.
func (d *Dispatcher) Apply(ctx context.Context, ch *v1alpha1.TiktokChannel) error {
	if err := d.waitLoaded(ctx); err != nil {
		return err
	}
	key := client.ObjectKeyFromObject(ch)
	d.name(key, ch.UID)
	wanted := map[sinkKey]bool{}
	var errs []error
	for i := range ch.Spec.Sinks {
		s := sinkKey{ch.UID, ch.Spec.Sinks[i].Name}
		wanted[s] = true
		w, err := d.ensureWorker(ctx, key, s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		w.configure(ch, &ch.Spec.Sinks[i])
	}
	return errors.Join(append(errs, d.drop(ctx, key, wanted))...)
}

// Forget ends the deliveries of a channel that is no longer there, of whatever incarnation. Its events stay in the log.
func (d *Dispatcher) Forget(ctx context.Context, channel types.NamespacedName) error {
	if err := d.waitLoaded(ctx); err != nil {
		return err
	}
	return d.drop(ctx, channel, nil)
}

// ForgetUnnamed forgets those of the positions that do not say which channel's they are whose channel is not there, by the UIDs of those that are.
// It says whether others are left, whose channels Apply has not been called for.
func (d *Dispatcher) ForgetUnnamed(ctx context.Context, there map[types.UID]bool) (left bool, err error) {
	if err := d.waitLoaded(ctx); err != nil {
		return false, err
	}
	wanted := map[sinkKey]bool{}
	d.mu.Lock()
	for key := range d.stored[unnamed] {
		wanted[key] = there[key.uid]
		left = left || there[key.uid]
	}
	d.mu.Unlock()
	return left, d.drop(ctx, unnamed, wanted)
}

// name gives the channel its positions that do not say whose they are.
func (d *Dispatcher) name(channel types.NamespacedName, uid types.UID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, state := range d.stored[unnamed] {
		if key.uid == uid {
			d.store(channel, key, state)
			d.unstore(unnamed, key)
		}
	}
}

// ensureWorker returns the sink's worker. A sink that has no position yet gets one, stored before anything is delivered.
func (d *Dispatcher) ensureWorker(ctx context.Context, channel types.NamespacedName, key sinkKey) (*worker, error) {
	d.mu.Lock()
	w := d.workers[channel][key]
	state, known := d.stored[channel][key]
	d.mu.Unlock()
	if w != nil {
		return w, nil
	}
	if !known {
		epoch := d.opts.Log.Epoch()
		position, err := d.opts.Log.Since(ctx, string(key.uid), newSinkOverlap+d.awaiting(channel, key))
		if err != nil {
			return nil, err
		}
		state = eventlog.SinkState{
			Namespace: channel.Namespace, Name: channel.Name, ChannelUID: string(key.uid), Sink: key.sink, Position: position, Epoch: epoch,
		}
		if d.shared == nil { // else it is stored by the replica that serves the channel
			if err := d.opts.Log.SaveSink(ctx, state); err != nil {
				return nil, err
			}
		}
	}
	w = d.newWorker(channel, state)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.workers[channel] == nil {
		d.workers[channel] = map[sinkKey]*worker{}
	}
	d.workers[channel][key] = w
	delete(d.abandoned, key)
	delete(d.awaited[channel], key)
	d.unstore(channel, key)
	d.byUID[w.uid] = append(slices.Clone(d.byUID[w.uid]), w) // notify reads the old slice without the lock
	d.shared.kick()
	return w, nil
}

// awaiting notes that a sink waits for a position, and says for how long it has.
func (d *Dispatcher) awaiting(channel types.NamespacedName, key sinkKey) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.awaited[channel] == nil {
		d.awaited[channel] = map[sinkKey]time.Time{}
	}
	seen, ok := d.awaited[channel][key]
	if !ok {
		seen = d.opts.Clock.Now()
		d.awaited[channel][key] = seen
	}
	return max(d.opts.Clock.Since(seen), 0)
}

// drop ends and forgets the channel's sinks that are not wanted.
func (d *Dispatcher) drop(ctx context.Context, channel types.NamespacedName, wanted map[sinkKey]bool) error {
	d.mu.Lock()
	var workers []*worker
	var forgotten []sinkKey
	for key, w := range d.workers[channel] {
		if !wanted[key] {
			workers = append(workers, w)
			forgotten = append(forgotten, key)
		}
	}
	for key := range d.stored[channel] {
		if !wanted[key] {
			forgotten = append(forgotten, key)
		}
	}
	maps.DeleteFunc(d.awaited[channel], func(key sinkKey, _ time.Time) bool { return !wanted[key] })
	if len(d.awaited[channel]) == 0 {
		delete(d.awaited, channel)
	}
	d.mu.Unlock()
	for _, w := range workers {
		w.stop() // from here on it stores no position
		if waited, _ := w.backlog(); waited > 0 {
			w.logger().Info("a sink is gone, and what waited for it is not delivered", "not delivered", waited)
		}
		d.retire(w)
	}
	var errs []error
	for _, key := range forgotten {
		if d.shared != nil && d.term(string(key.uid)) == 0 {
			// Its replica forgets it; a replica that lags behind must not forget one that has been made anew. If there is no such replica
			// at the moment, the next one does.
			d.mu.Lock()
			d.abandoned[key] = struct{}{}
			d.unstore(channel, key)
			d.mu.Unlock()
			continue
		}
		if err := d.opts.Log.DeleteSink(ctx, string(key.uid), key.sink); err != nil {
			errs = append(errs, err)
			continue
		}
		d.mu.Lock()
		d.unstore(channel, key)
		d.mu.Unlock()
	}
	return errors.Join(errs...)
}

// retire turns a worker that has stopped into a position, which a new worker for the same sink would go on from.
func (d *Dispatcher) retire(w *worker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := sinkKey{types.UID(w.uid), w.sink}
	delete(d.workers[w.channel], key)
	if len(d.workers[w.channel]) == 0 {
		delete(d.workers, w.channel)
	}
	left := slices.DeleteFunc(slices.Clone(d.byUID[w.uid]), func(other *worker) bool { return other == w })
	if d.byUID[w.uid] = left; len(left) == 0 {
		delete(d.byUID, w.uid)
	}
	d.store(w.channel, key, w.state())
}

// store keeps a position for which there is no worker. d.mu is held.
func (d *Dispatcher) store(channel types.NamespacedName, key sinkKey, state eventlog.SinkState) {
	if d.stored[channel] == nil {
		d.stored[channel] = map[sinkKey]eventlog.SinkState{}
	}
	d.stored[channel][key] = state
}

// unstore forgets a position. d.mu is held.
func (d *Dispatcher) unstore(channel types.NamespacedName, key sinkKey) {
	delete(d.stored[channel], key)
	if len(d.stored[channel]) == 0 {
		delete(d.stored, channel)
	}
}
