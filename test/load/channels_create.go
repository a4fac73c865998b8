package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tiktok-operator/tiktok-operator/api/v1alpha1"
	"github.com/tiktok-operator/tiktok-operator/internal/reservation"
	"github.com/tiktok-operator/tiktok-operator/internal/tiktok"
	"github.com/tiktok-operator/tiktok-operator/internal/token"
	"github.com/tiktok-operator/tiktok-operator/internal/tokenstore"
)

// preparers is how many requests of this process are under way at once.
const preparers = 16

// createChannels makes channels whose tokens were just issued, stored as the webhook deployment stores them after a consent.
func (f *fleet) createChannels(ctx context.Context) error {
	say("Creating %d channels with their token Secrets", f.options.channels)
	for n := range f.namespaces {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("load-%02d", n)}}
		if err := client.IgnoreAlreadyExists(f.k8s.Create(ctx, ns)); err != nil {
			return fmt.Errorf("creating a namespace: %w", err)
		}
	}
	f.channels = make([]*v1alpha1.TiktokChannel, f.options.channels)
	store := tokenstore.New(tokenstore.Options{Client: f.k8s, Holder: "load"})
	businesses := reservation.New(reservation.Options{Client: f.k8s, Namespace: operatorNamespace})
	return parallel(ctx, f.options.channels, func(ctx context.Context, i int) error {
		ch := &v1alpha1.TiktokChannel{
			ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("load-%02d", i%f.namespaces), Name: fmt.Sprintf("shop-%05d", i)},
			Spec:       v1alpha1.TiktokChannelSpec{AppRef: v1alpha1.TiktokAppReference{Name: f.app.Name}},
		}
		if err := f.k8s.Create(ctx, ch); err != nil {
			return fmt.Errorf("creating a channel: %w", err)
		}
		f.channels[i] = ch
		if err := businesses.Hold(ctx, fmt.Sprintf("load-business-%05d", i), ch); err != nil {
			return fmt.Errorf("reserving a business: %w", err)
		}
		issued := f.sim.IssueToken(fmt.Sprintf("load-business-%05d", i))
		now := time.Now().UTC().Truncate(time.Second)
		return store.Authorize(ctx, ch, token.Tokens{
			AccessToken: tiktok.Secret(issued.AccessToken), RefreshToken: tiktok.Secret(issued.RefreshToken), BusinessID: issued.OpenID,
			Scopes: issued.Scopes, ObtainedAt: now, AccessTokenExpiresAt: now.Add(issued.ExpiresIn),
			RefreshTokenExpiresAt: now.Add(issued.RefreshTokenExpiresIn),
		}, 0)
	})
}

// parallel calls work for 0 to n-1 and returns the first error, which ends the rest. It tells of progress.
func parallel(ctx context.Context, n int, work func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(preparers, n) {
		wg.Go(func() {
			for i := range next {
				if err := work(ctx, i); err != nil {
					cancel(err) // the first one stays
				}
			}
		})
	}
	told := time.Now()
feeding:
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			break feeding
		}
		if time.Since(told) > 20*time.Second {
			told = time.Now()
			say("  %d of %d", i, n)
		}
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

// each reads all objects of a list, a page at a time.
func each[T client.ObjectList](ctx context.Context, c client.Reader, list T, visit func(T) error, opts ...client.ListOption) error {
	for next := ""; ; {
		page := append([]client.ListOption{client.Limit(500), client.Continue(next)}, opts...)
		if err := c.List(ctx, list, page...); err != nil {
			return fmt.Errorf("listing %T: %w", list, err)
		}
		if err := visit(list); err != nil {
			return err
		}
		if next = list.GetContinue(); next == "" {
			return nil
		}
	}
}
