package messagingapi

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
)

// OpenAPIPattern is where OpenAPI is served. It needs no token: the document says nothing that the source does not.
const OpenAPIPattern = "GET /openapi.json"

// document describes the whole private API. make docs writes it.
//
//go:embed openapi.json
var document []byte

// OpenAPI serves the OpenAPI document.
func OpenAPI() http.Handler {
	sum := sha256.Sum256(document)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("ETag", tag)
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Content-Type-Options", "nosniff")
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Type", "application/json")
		_, _ = w.Write(document)
	})
}
