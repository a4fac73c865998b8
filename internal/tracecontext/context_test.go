package tracecontext_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/tiktok-operator/tiktok-operator/internal/tracecontext"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
	parent  = "00-" + traceID + "-" + spanID + "-01"
)

func TestParents(t *testing.T) {
	for text, want := range map[string]string{
		parent:                                     parent,
		"00-" + traceID + "-" + spanID + "-00":     "00-" + traceID + "-" + spanID + "-00",
		"00-" + traceID + "-" + spanID + "-ff":     parent, // flags that are not known are not passed on
		"cc-" + traceID + "-" + spanID + "-01":     parent, // a later version is answered in ours
		"cc-" + traceID + "-" + spanID + "-01-x.y": parent,

		"": "", " " + parent: "", parent + " ": "", parent + "-x": "", parent + "0": "",
		"cc-" + traceID + "-" + spanID + "-01.x":                "",
		"ff-" + traceID + "-" + spanID + "-01":                  "",
		"0-" + traceID + "-" + spanID + "-01":                   "",
		"0x-" + traceID + "-" + spanID + "-01":                  "",
		"FE-" + traceID + "-" + spanID + "-01":                  "",
		"00-" + strings.ToUpper(traceID) + "-" + spanID + "-01": "",
		"00-" + traceID + "-" + strings.ToUpper(spanID) + "-01": "",
		"00-" + traceID + "-" + spanID + "-0A":                  "",
		"00-" + traceID + "-" + spanID + "-1":                   "",
		"00-" + traceID + "-" + spanID[1:] + "-01":              "",
		"00-" + traceID[1:] + "-" + spanID + "-01":              "",
		"00_" + traceID + "-" + spanID + "-01":                  "",
		"00-" + traceID + "_" + spanID + "-01":                  "",
		"00-" + traceID + "-" + spanID + "_01":                  "",
		"00-" + strings.Repeat("0", 32) + "-" + spanID + "-01":  "",
		"00-" + traceID + "-" + strings.Repeat("0", 16) + "-01": "",
		"00-" + traceID[1:] + "g-" + spanID + "-01":             "",
	} {
		c := tracecontext.Parse(text, "a=1")
		if got := c.Parent(); got != want || c.IsZero() != (want == "") || (c.TraceID() == traceID) != (want != "") {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
		if (c.State() == "a=1") != (want != "") {
			t.Errorf("%q goes with the state %q", text, c.State())
		}
	}
}

func members(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("k%d=v", i))
	}
	return strings.Join(all, ",")
}

func TestStates(t *testing.T) {
	long := strings.Repeat("v", 256)
	for text, want := range map[string]string{
		"": "", ",, ,": "",
		"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
		" a=1 ,\tb=2\t,,c= 3":                     "a=1,b=2,c= 3",
		"0a_-*/=1,fw529a3039@dt=FfFf":             "0a_-*/=1,fw529a3039@dt=FfFf",
		members(32):                               members(32), members(33): "",
		"k=" + long: "k=" + long, "k=" + long + "v": "",
		"k=" + long + ",l=" + long[4:]:  "",                             // 513
		"k=" + long + ",l=" + long[5:]:  "k=" + long + ",l=" + long[5:], // 512
		strings.Repeat("k", 256) + "=v": strings.Repeat("k", 256) + "=v", strings.Repeat("k", 257) + "=v": "",
		strings.Repeat("k", 241) + "@" + strings.Repeat("s", 14) + "=v": strings.Repeat("k", 241) + "@" + strings.Repeat("s", 14) + "=v",
		strings.Repeat("k", 242) + "@s=v":                               "", "k@" + strings.Repeat("s", 15) + "=v": "",
		"a=1,a=2": "", "a": "", "a=": "", "=1": "", "a=1=2": "", "a=\x7f": "", "a=1\nb": "", "a=é": "", "é=1": "", "A=1": "", "_a=1": "", "a b=1": "",
		"@a=1": "", "a@=1": "", "a@b@c=1": "", "a=1,b": "", "a = 1": "",
	} {
		if got := tracecontext.Parse(parent, text).State(); got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	h := http.Header{"Traceparent": {parent}, "Tracestate": {"a=1", "b=2"}}
	c := tracecontext.FromHeader(h)
	out := http.Header{}
	c.Child().Set(out)
	if got := out.Get("traceparent"); !strings.HasPrefix(got, "00-"+traceID+"-") || !strings.HasSuffix(got, "-01") || strings.Contains(got, spanID) {
		t.Errorf("a child's traceparent is %q", got)
	}
	if got := out.Get("tracestate"); got != "a=1,b=2" {
		t.Errorf("the tracestate is %q", got)
	}
	h.Add("traceparent", parent)
	if !tracecontext.FromHeader(h).IsZero() {
		t.Error("two traceparents were taken for one")
	}
	empty := http.Header{}
	if tracecontext.FromHeader(http.Header{"Tracestate": {"a=1"}}).Set(empty); len(empty) != 0 {
		t.Errorf("no trace wrote %v", empty)
	}
}

func TestNewTracesDiffer(t *testing.T) {
	a, b := tracecontext.New(), tracecontext.New()
	form := regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`)
	if !form.MatchString(a.Parent()) || a.TraceID() == b.TraceID() || a.Parent() == a.Child().Parent() || a.TraceID() != a.Child().TraceID() {
		t.Errorf("got %s and %s", a.Parent(), b.Parent())
	}
}

// What is passed on is read the same by the next one.
func FuzzParse(f *testing.F) {
	f.Add(parent, "a=1,b@c=2")
	f.Add("cc-"+traceID+"-"+spanID+"-01-x", " ,a= 1")
	f.Add("ff-"+traceID+"-"+spanID+"-01", "a=1\r\nb: c")
	f.Fuzz(func(t *testing.T, text, state string) {
		c := tracecontext.Parse(text, state)
		if c.IsZero() {
			if c != (tracecontext.Context{}) || c.Parent() != "" || c.TraceID() != "" {
				t.Fatalf("%q left %+v", text, c)
			}
			return
		}
		if again := tracecontext.Parse(c.Parent(), c.State()); again != c {
			t.Fatalf("%+v is read as %+v", c, again)
		}
		if len(c.Parent()) != 55 || len(c.State()) > 512 || strings.ContainsAny(c.Parent()+c.State(), "\r\n\x00") {
			t.Fatalf("got %q and %q", c.Parent(), c.State())
		}
	})
}
