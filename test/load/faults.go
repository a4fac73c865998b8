package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tiktok-operator/tiktok-operator/test/inbound"
)

// measureFaults lets everything fail that webhooks and events depend on, one after the other, and counts what became of the events.
func measureFaults(ctx context.Context, s *stage, o options, rep *report) error {
	kubeconfig, err := os.ReadFile(s.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	cluster, err := inbound.NewCluster(s.config, kubeconfig)
	if err != nil {
		return err
	}
	var rows []inbound.Row
	defer func() { rep.table(inbound.Markdown(rows)) }()
	for _, f := range inbound.Faults() {
		if o.fault != "" && o.fault != f.Name {
			continue
		}
		say("Fault: %s", f.Name)
		row, err := f.Run(ctx, inbound.Options{
			Cluster: cluster, Binaries: s.binaries, Dir: filepath.Join(s.dir, "faults"), Events: o.events, Conversations: o.conversations,
			Away: o.away, Crashes: o.crashes,
		})
		if errors.Is(err, inbound.ErrNoSmallDisk) || errors.Is(err, inbound.ErrNoClock) {
			rep.note("%s: left out: %v", f.Name, err)
			continue
		}
		rows = append(rows, row)
		if err = errors.Join(err, row.Err()); ctx.Err() != nil {
			return ctx.Err()
		}
		rep.check(err == nil, "%w", err)
	}
	return nil
}
