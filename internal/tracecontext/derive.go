package tracecontext

import "crypto/sha256"

// Derive begins the trace of something that has a name: for the same name, always the same trace.
func Derive(name string) Context {
	sum := sha256.Sum256([]byte(name))
	c := Context{flags: flagSampled}
	copy(c.trace[:], sum[:])
	copy(c.span[:], sum[len(c.trace):])
	return c
}
