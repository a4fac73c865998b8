package tiktok

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestClassify(t *testing.T) {
	tests := []struct {
		status, code int
		want         Class
	}{
		// TikTok's codes, which come with HTTP 200 …
		{200, 40001, ClassScopeMissing},
		{200, 40002, ClassPermanent},
		{200, 40007, ClassPermanent},
		{200, 40064, ClassPermanent},
		{200, 40100, ClassRateLimited},
		{200, 40101, ClassAppCredentials},
		{200, 40105, ClassTokenRefused},
		{200, 40110, ClassCodeRefused},
		{200, 40908, ClassPermanent},
		{200, 51065, ClassTransient},
		// … and codes that nobody documents.
		{200, 40000, ClassPermanent},
		{200, 49999, ClassPermanent},
		{200, 50000, ClassTransient},
		{200, 59999, ClassTransient},
		{200, 39999, ClassTransient},
		{200, 60001, ClassTransient},
		{200, 1, ClassTransient},
		{200, -1, ClassTransient},
		// A code counts more than the status.
		{503, 40105, ClassTokenRefused},
		{401, 40101, ClassAppCredentials},
		{429, 40002, ClassPermanent},
		{400, 51000, ClassTransient},
		// Without a code the status counts.
		{401, 0, ClassTokenRefused},
		{403, 0, ClassScopeMissing},
		{429, 0, ClassRateLimited},
		{408, 0, ClassTransient},
		{500, 0, ClassTransient},
		{502, 0, ClassTransient},
		{503, 0, ClassTransient},
		{504, 0, ClassTransient},
		{400, 0, ClassPermanent},
		{404, 0, ClassPermanent},
		{405, 0, ClassPermanent},
		{302, 0, ClassMalformed},
		{200, 0, ClassMalformed},
		{204, 0, ClassMalformed},
	}
	for _, tt := range tests {
		if got := classify(tt.status, tt.code); got != tt.want {
			t.Errorf("HTTP %d, code %d: %s, want %s", tt.status, tt.code, got, tt.want)
		}
	}
}

func TestClassOf(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want Class
	}{
		{nil, ""},
		{errors.New("something"), ClassTransient},
		{context.Canceled, ClassTransient},
		{(*Error)(nil), ClassTransient},
		{&Error{Class: ClassCodeRefused}, ClassCodeRefused},
		{fmt.Errorf("refreshing: %w", &Error{Class: ClassTokenRefused}), ClassTokenRefused},
	} {
		if got := ClassOf(tt.err); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}
