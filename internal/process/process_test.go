package process_test

import (
	"errors"
	"flag"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/process"
)

func parse(t *testing.T, args ...string) (*process.Flags, error) {
	t.Helper()
	var f process.Flags
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	f.Bind(fs, ":8080")
	_, err := f.Parse(fs, args)
	return &f, err
}

func TestNamespaceOfTheOperator(t *testing.T) {
	for name, tc := range map[string]struct {
		args          []string
		variable, pod string
		want          string
	}{
		"not in a pod":                {want: process.DefaultNamespace},
		"the pod's":                   {pod: "in-pod", want: "in-pod"},
		"the variable before the pod": {variable: "from-env", pod: "in-pod", want: "from-env"},
		"the flag before all":         {args: []string{"--namespace=from-flag"}, variable: "from-env", pod: "in-pod", want: "from-flag"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("POD_NAMESPACE", tc.pod)
			if tc.variable != "" {
				t.Setenv("TIKTOK_OPERATOR_NAMESPACE", tc.variable)
			}
			f, err := parse(t, tc.args...)
			if err != nil || f.Namespace != tc.want {
				t.Errorf("namespace %q, error %v; want %q", f.Namespace, err, tc.want)
			}
		})
	}
}

func TestWatchedNamespaces(t *testing.T) {
	for value, want := range map[string][]string{"": nil, "a": {"a"}, "b, a,": {"a", "b"}, "a,a": {"a"}} {
		f, err := parse(t, "--watch-namespaces="+value)
		if err != nil {
			t.Errorf("%q: %v", value, err)
			continue
		}
		got := f.Namespaces()
		if !slices.Equal(slices.Sorted(maps.Keys(got)), want) {
			t.Errorf("%q: the caches watch %v, want %v", value, got, want)
		}
		if want == nil && got != nil {
			t.Errorf("%q: an empty set would watch nothing; nil is all", value)
		}
	}
}

func TestInvalidFlags(t *testing.T) {
	for _, arg := range []string{
		"--watch-namespaces=a,Not_a_name", "--watch-namespaces=,", "--watch-namespaces=a/b", "--namespace=Not_a_name", "--namespace=a.b",
		"--kube-api-qps=0", "--kube-api-qps=-1", "--kube-api-qps=NaN", "--kube-api-qps=many", "--kube-api-burst=0", "--zap-log-level=loud",
	} {
		_, err := parse(t, arg)
		name, _, _ := strings.Cut(arg, "=")
		var invalid *process.InvalidError
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want an InvalidError that names %s", arg, err, name)
		}
	}
	if _, err := parse(t, "--help"); !errors.Is(err, flag.ErrHelp) || errors.As(err, new(*process.InvalidError)) {
		t.Errorf("--help: error %v, want flag.ErrHelp alone", err)
	}
}
