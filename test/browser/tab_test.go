package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take.
const patience = 30 * time.Second

// tab is a page in the browser. It finds what is on it by role and name, as people with a screen reader do.
type tab struct {
	*testing.T
	ctx context.Context

	mu sync.Mutex
	// hosts are those that requests went to, complaints what the browser had to say: errors on the console, violations of the page's
	// policy, and whatever it lists as an issue.
	hosts      []string
	complaints []string
	// refusals are the answers that the test expects to be errors; the console shows each.
	refusals int
}

// openTab opens an empty page. When the test ends, the browser must not have complained.
func openTab(t *testing.T) *tab {
	t.Helper()
	p := &tab{T: t}
	ctx, end := chromedp.NewContext(started(t), chromedp.WithNewBrowserContext(), chromedp.WithListener(p.listen))
	p.ctx = ctx
	t.Cleanup(end)
	t.Cleanup(p.check)
	if _, err := chromedp.Call(ctx, audits.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	p.size(1024, 768)
	return p
}

func (p *tab) listen(ev any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	complain := func(format string, args ...any) { p.complaints = append(p.complaints, fmt.Sprintf(format, args...)) }
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(ev.Request.URL); err != nil {
			complain("a request to %q", ev.Request.URL)
		} else {
			p.hosts = append(p.hosts, u.Host)
		}
	case *runtime.EventConsoleAPICalled:
		complain("the console has a line of a script: %s", ev.Type)
	case *runtime.EventExceptionThrown:
		complain("a script failed: %s", ev.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if p.refusals > 0 && ev.Entry.Source == "network" && strings.Contains(ev.Entry.Text, "status of 4") {
			p.refusals--
			return
		}
		complain("%s %s: %s %s", ev.Entry.Source, ev.Entry.Level, ev.Entry.Text, ev.Entry.URL)
	case *audits.EventIssueAdded:
		details, _ := json.Marshal(ev.Issue.Details)
		complain("issue %s: %s", ev.Issue.Code, details)
	}
}

func (p *tab) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, complaint := range p.complaints {
		p.Errorf("the browser complains: %s", complaint)
	}
	if p.refusals != 0 {
		p.Errorf("%d refusals that were expected did not come", p.refusals)
	}
}

// refused says that the next page is answered with an error.
func (p *tab) refused() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusals++
}

// only checks that every request went to one of the hosts.
func (p *tab) only(hosts ...string) {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, host := range p.hosts {
		if !slices.Contains(hosts, host) {
			p.Errorf("a request went to %q", host)
		}
	}
	if len(p.hosts) == 0 {
		p.Error("no request was seen")
	}
}

// patiently bounds what waits for the page.
func (p *tab) patiently() (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.ctx, patience)
}

// size sets what is seen of the page, in CSS pixels.
func (p *tab) size(width, height int64) {
	p.Helper()
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
}

func (p *tab) open(address string) {
	p.Helper()
	ctx, cancel := p.patiently()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		p.Fatalf("opening %s: %v", address, err)
	}
	p.settle(ctx)
}

// settle waits until the page has been drawn: a browser moves the focus, and what is seen with it, only then.
func (p *tab) settle(ctx context.Context) {
	p.Helper()
	drawn := chromedp.Evaluate[chromedp.Void](`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))`, chromedp.EvalAwaitPromise)
	if _, err := chromedp.Run(ctx, drawn); err != nil {
		p.Fatalf("the page is not drawn: %v", err)
	}
}

// leads does something that leads to a page, waits for that and returns its HTTP status.
func (p *tab) leads(what string, do func(ctx context.Context, t *chromedp.Target) error) int64 {
	p.Helper()
	ctx, cancel := p.patiently()
	defer cancel()
	r, err := chromedp.RunResponse(ctx, chromedp.Func(do))
	if err != nil {
		p.Fatalf("%s leads to no page: %v", what, err)
	}
	p.settle(ctx)
	return r.Status
}

// press clicks on what has the role and name, which leads to a page, and returns its HTTP status.
func (p *tab) press(role, name string) int64 {
	p.Helper()
	at := p.find(role, name)
	return p.leads(name, func(ctx context.Context, t *chromedp.Target) error { return click(ctx, t, at) })
}

// key presses a key that leads to a page.
func (p *tab) key(keys string) int64 {
	p.Helper()
	return p.leads("the key", func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.KeyEvent(keys)(ctx, t)
		return err
	})
}

// keys presses keys that lead nowhere.
func (p *tab) keys(keys string) {
	p.Helper()
	if err := chromedp.Do(p.ctx, chromedp.KeyEvent(keys)); err != nil {
		p.Fatal(err)
	}
}

// fill replaces what a field holds.
func (p *tab) fill(role, name, text string) {
	p.Helper()
	at := p.find(role, name)
	if err := chromedp.Do(p.ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error { return click(ctx, t, at) })); err != nil {
		p.Fatalf("%s: %v", name, err)
	}
	p.script(`document.activeElement.select()`)
	call(p, input.InsertText, input.InsertTextParams{Text: text})
}

// attach chooses a file.
func (p *tab) attach(name, file string) {
	p.Helper()
	call(p, dom.SetFileInputFiles, dom.SetFileInputFilesParams{BackendNodeID: p.find("button", name), Files: []string{file}})
}

// find is the one element with a role and a name.
func (p *tab) find(role, name string) cdp.BackendNodeID {
	p.Helper()
	nodes := p.all(role, name)
	if len(nodes) != 1 {
		p.Fatalf("there are %d elements with the role %s and the name %q; the page reads\n%s", len(nodes), role, name, p.text("body"))
	}
	return nodes[0].BackendDOMNodeID
}

// all are the elements with a role, and a name unless it is "". Spaces around names do not count.
func (p *tab) all(role, name string) []*accessibility.Node {
	p.Helper()
	root := call(p, dom.GetDocument, dom.GetDocumentParams{}).Root
	found := call(p, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{BackendNodeID: root.BackendNodeID, Role: role}).Nodes
	return slices.DeleteFunc(found, func(n *accessibility.Node) bool { return n.Ignored || (name != "" && nameOf(n) != name) })
}

// nameOf is what a screen reader calls an element.
func nameOf(n *accessibility.Node) string {
	var name string
	if n.Name != nil {
		_ = json.Unmarshal(n.Name.Value, &name) // "" for what has no name
	}
	return strings.TrimSpace(name)
}

// text is what a person reads in the first element that a CSS selector finds.
func (p *tab) text(selector string) string {
	p.Helper()
	return eval[string](p, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? "(no %[1]s)"`, selector))
}

// texts are what a person reads in all of them.
func (p *tab) texts(selector string) []string {
	p.Helper()
	return eval[[]string](p, fmt.Sprintf(`[...document.querySelectorAll(%q)].map(e => e.innerText)`, selector))
}

func (p *tab) script(expression string) {
	p.Helper()
	eval[chromedp.Void](p, expression)
}

func eval[T any](p *tab, expression string) T {
	p.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.Fatalf("%s: %v", expression, err)
	}
	return v
}

func call[P, R any](p *tab, cmd cdp.Command[P, R], params P) R {
	p.Helper()
	r, err := chromedp.Call(p.ctx, cmd, params)
	if err != nil {
		p.Fatalf("%s: %v", cmd.Method, err)
	}
	return r
}

// click is a real one, in the middle of the element: something that covers it takes it.
func click(ctx context.Context, t *chromedp.Target, at cdp.BackendNodeID) error {
	if _, err := cdp.Call(ctx, t, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: at}); err != nil {
		return fmt.Errorf("scrolling to it: %w", err)
	}
	shape, err := cdp.Call(ctx, t, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: at})
	if err != nil || len(shape.Quads) == 0 || len(shape.Quads[0]) != 8 {
		return fmt.Errorf("it is not to be seen: %w", err)
	}
	q := shape.Quads[0]
	_, err = chromedp.MouseClickXY((q[0]+q[4])/2, (q[1]+q[5])/2)(ctx, t)
	return err
}
