package ingest

import "strings"

// AppOf reads the app's name from the path of a webhook: what follows the last "webhooks/". A public URL may have a path of its own before
// it. ok is false for every other path.
func AppOf(path string) (app string, ok bool) {
	segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
	n := len(segments)
	if n < 3 || segments[0] != "" || segments[n-2] != "webhooks" || segments[n-1] == "" {
		return "", false
	}
	return segments[n-1], true
}
