// Package browser is a test of the simulator's pages in a real browser: what a person sees, types and taps there, and what the browser has
// to say about it. It is a module of its own, so that the library that drives the browser is no dependency of the product.
package browser
