package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// TestCopyButtonCoversNoCode: a long line of a page of the documentation can be read to its end, under the mouse too, scrolled or not.
func TestCopyButtonCoversNoCode(t *testing.T) {
	command := "kubectl get tiktokapps -o custom-columns=" + strings.Repeat("NAME:.metadata.name,", 12) + "END"
	page := `<!doctype html><html lang="en"><title>Page</title><link rel="stylesheet" href="/style.css"><link rel="icon" href="data:,">
<header><input id="search" hidden><ul id="results" hidden></ul><button id="theme" hidden>Theme</button></header>
<main><pre><code>` + command + "\n" + strings.Repeat("x", 89) + `
</code></pre><pre><code>short</code></pre></main><script src="/site.js" data-top="/"></script></html>`
	theme := http.FileServer(http.Dir("../../hack/site/theme"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			_, _ = fmt.Fprint(w, page)
			return
		}
		theme.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p := openTab(t)
	for _, width := range []int64{1440, 1024, 360} {
		p.size(width, 768)
		p.open(server.URL + "/")
		for _, scrolled := range []string{"0", "1e6"} {
			p.script("document.querySelector('pre').scrollLeft = " + scrolled)
			at := eval[[]float64](p, "(() => { const r = document.querySelector('pre').getBoundingClientRect(); return [r.right - 20, r.top + 20]; })()")
			p.hover(at[0], at[1])
			// What is under the mouse at the end of the first line is the code, and the button is seen beside it.
			if got := eval[string](p, fmt.Sprintf("document.elementFromPoint(%f, %f).closest('pre, button').tagName", at[0], at[1])); got != "PRE" {
				t.Errorf("%d pixels wide, scrolled by %s: a %s is over the end of the line", width, scrolled, got)
			}
			covered := `[...document.querySelectorAll('.code')].filter((box) => {
				const [a, b] = [box.querySelector('pre'), box.querySelector('button')].map((e) => e.getBoundingClientRect());
				return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom || b.right > innerWidth;
			}).length`
			if n := eval[int](p, covered); n != 0 {
				t.Errorf("%d pixels wide, scrolled by %s: %d buttons lie over their code, or outside the page", width, scrolled, n)
			}
		}
	}
}

func (p *tab) hover(x, y float64) {
	p.Helper()
	call(p, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: chromedp.MouseMoved, X: x, Y: y})
}
