package main

import (
	"os"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/process/processtest"
)

// suite is the built binary, with a real API server.
var suite processtest.Suite

func TestMain(m *testing.M) { os.Exit(suite.Main(m, "manager")) }
