package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestMain has the tests run where the demo does: at the checkout's top.
func TestMain(m *testing.M) {
	if err := os.Chdir(filepath.Join("..", "..")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
