package process

import (
	"os"
	"path/filepath"
	"testing"
)

// The ServiceAccount's volume is at a fixed path, where a test cannot write.
func TestNamespaceOfTheServiceAccount(t *testing.T) {
	file := filepath.Join(t.TempDir(), "namespace")
	for text, want := range map[string]string{"mounted\n": "mounted", "\n": DefaultNamespace} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := ownNamespace(func(string) string { return "" }, file); got != want {
			t.Errorf("the file says %q: namespace %q, want %q", text, got, want)
		}
	}
	downward := func(name string) string { return map[string]string{"POD_NAMESPACE": "downward"}[name] }
	if got := ownNamespace(downward, file); got != "downward" {
		t.Errorf("namespace %q, want that of POD_NAMESPACE", got)
	}
	if got := ownNamespace(func(string) string { return "" }, filepath.Join(filepath.Dir(file), "missing")); got != DefaultNamespace {
		t.Errorf("namespace %q, want %q", got, DefaultNamespace)
	}
}
