// Package docs tests what the documentation tells people to do: its commands and its programs are run as they stand in docs. It has no code
// but tests.
package docs
