package outbound_test

import (
	"fmt"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/outbound/outboundtest"
)

// BenchmarkSend is what sending costs beside TikTok's answer, in a conversation that grows.
func BenchmarkSend(b *testing.B) {
	bench := outboundtest.New(b)
	s := bench.Sender(outboundtest.Change{})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Send(b.Context(), bench.Request(fmt.Sprint("k", i), "Your parcel is on its way.")); err != nil {
			b.Fatal(err)
		}
	}
}
