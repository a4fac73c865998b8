package access

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzBearer asserts that a token that is accepted is one word of the header, unchanged.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "bearer a.b-c_d~e+f/g==", "Bearer", "Bearer  x", "Basic YTpi", "Bearer a b", "Bearer \x00", "Bearer =", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		token, present, ok := bearer(http.Header{"Authorization": {value}})
		if !present || ok != (token != "") {
			t.Fatalf("present %t, ok %t, token %q", present, ok, token)
		}
		if !ok {
			return
		}
		if fields := strings.Fields(value); len(fields) != 2 || !strings.EqualFold(fields[0], "Bearer") || fields[1] != token {
			t.Fatalf("%q became %q", value, token)
		}
		if strings.ContainsAny(token, " ,;\"\\\r\n\t") || len(token) > maxToken {
			t.Fatalf("accepted %q", token)
		}
	})
}
