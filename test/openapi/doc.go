// Package openapi is a test with a client that a standard generator (ogen) makes of the OpenAPI document of the private API: it sends and reads
// on the real API. It is a module of its own, so that neither the generator nor its runtime is a dependency of the product.
package openapi

//go:generate go tool ogen --target client --package client --clean --config ogen.yml ../../internal/messagingapi/openapi.json
