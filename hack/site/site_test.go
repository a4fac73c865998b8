package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// checkout writes files, and returns the folder.
func checkout(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		if _, ok := files[name]; !ok {
			files[name] = "# " + name + "\n"
		}
	}
	if _, ok := files[index]; !ok {
		files[index] = "# Home\n\n## Tasks\n\n- [One](how-to/one.md), more\n- [Two](how-to/two.md)\n\n## Project\n\n" +
			"- [Overview](../README.md)\n- [Contributing](../CONTRIBUTING.md)\n- [Changes](../CHANGELOG.md)\n"
	}
	for _, name := range []string{"docs/how-to/one.md", "docs/how-to/two.md"} {
		if _, ok := files[name]; !ok {
			files[name] = "# A page\n\n## A heading\n"
		}
	}
	for name, text := range files {
		if text == "" {
			continue // it is not there
		}
		if err := put(root, name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// made is a site of files, and where it was written.
func made(t *testing.T, files map[string]string) string {
	t.Helper()
	s, err := load(checkout(t, files))
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "site")
	if err := s.write(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, out, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDeadLinksAreFound(t *testing.T) {
	for text, want := range map[string]string{
		"[x](three.md)":                  "docs/how-to/one.md:3: the link three.md leads nowhere: there is no such file",
		"\n\n[x](two.md#no)":             "docs/how-to/one.md:5: the link two.md#no leads nowhere: docs/how-to/two.md has no heading #no",
		"[x](#no)":                       "docs/how-to/one.md has no heading #no",
		"- a\n- [x][y]\n\n[y]: gone.txt": "docs/how-to/one.md:4: the link gone.txt",
		"![x](gone.png)":                 "the link gone.png",
		"| a |\n| --- |\n| [x](no.md) |": "the link no.md",
		"[x](../../../elsewhere)":        "it is outside of the checkout",
		"[x](../how-to)":                 "it is a folder",
		"[x](/docs/how-to/two.md)":       "leads nowhere: there is no such file",
		"[x](../../go.mod#line)":         "only pages have anchors",
	} {
		_, err := load(checkout(t, map[string]string{"docs/how-to/one.md": "# One\n\n" + text + "\n", "go.mod": "module x\n"}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestGoodLinks(t *testing.T) {
	out := made(t, map[string]string{
		"go.mod":           "module x\n",
		"docs/a/b.json":    "{}\n",
		"docs/a/README.md": "# Deep\n\n[file](b.json) [up](../how-to/one.md#a--b-c_d) [home](../README.md)\n",
		"docs/README.md": "# Home\n\n## All\n\n- [One](how-to/one.md)\n- [Two](how-to/two.md)\n- [Deep](a/README.md)\n- [O](../README.md)\n" +
			"- [C](../CONTRIBUTING.md)\n- [Ch](../CHANGELOG.md)\n",
		"docs/how-to/one.md": "# One\n\n## A & `b` c_d!\n\n## Again\n\n## Again\n\n" +
			"[here](#again-1) [there](two.md#a-heading) [mod](../../go.mod) [web](https://example.com/x.md) [mail](mailto:a@example.com)\n",
	})
	one := read(t, out, "how-to/one.html")
	for _, want := range []string{
		`href="#again-1"`, `href="../how-to/two.html#a-heading"`, `href="../files/go.mod.txt"`, `href="https://example.com/x.md"`,
		`<h2 id="a--b-c_d">`, `<a href="../how-to/one.html" aria-current="page">One</a>`, `href="../a/index.html"`, `href="../index.html"`,
		`<link rel="stylesheet" href="../style.css">`,
	} {
		if !strings.Contains(one, want) {
			t.Errorf("the page has no %s:\n%s", want, one)
		}
	}
	if deep := read(t, out, "a/index.html"); !strings.Contains(deep, `href="../how-to/one.html#a--b-c_d"`) || !strings.Contains(deep, `href="../a/b.json"`) {
		t.Errorf("links of a deeper page: %s", deep)
	}
	read(t, out, "a/b.json")
	read(t, out, "files/go.mod.txt")
	if home := read(t, out, "index.html"); !strings.Contains(home, `href="project/readme.html"`) {
		t.Errorf("links of the first page: %s", home)
	}
}

func TestEveryPageIsInTheNavigation(t *testing.T) {
	_, err := load(checkout(t, map[string]string{"docs/how-to/three.md": "# Three\n"}))
	if err == nil || err.Error() != "docs/how-to/three.md is not in the navigation: link to it from a list of docs/README.md" {
		t.Errorf("got %v", err)
	}
}

func TestPagesHoldNoHTMLOfTheirOwn(t *testing.T) {
	out := made(t, map[string]string{"docs/how-to/one.md": "# One\n\n<!-- hidden: secret words -->\n```sh\nls <file>\n```\n\n<script>alert(1)</script>\n\n" +
		"a <img src=x onerror=alert(1)> b <channel> c<br />d <!-- also hidden -->\n\n[x](javascript:alert(1)) ![badge](https://example.com/badge.svg)\n"})
	one := read(t, out, "how-to/one.html")
	body := one[strings.Index(one, "<main"):]
	for _, never := range []string{"<script", "<img", "hidden", "javascript:"} {
		if strings.Contains(body, never) {
			t.Errorf("the page has %q:\n%s", never, body)
		}
	}
	for _, want := range []string{"&lt;channel&gt;", "<br>d", "ls &lt;file&gt;", `<a href="https://example.com/badge.svg">badge</a>`, "&lt;script&gt;"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q:\n%s", want, body)
		}
	}
	if found := read(t, out, "search-index.js"); strings.Contains(found, "secret words") {
		t.Errorf("the search finds what is hidden: %s", found)
	}
}

// loaded is what browsers load by themselves.
var loaded = regexp.MustCompile(`(?i)(?:\ssrc=|\ssrcset=|<link[^>]*\shref=|url\(|@import\s|fetch\(|import\()\s*["']?([^"'\s>)]*)`)

// TestTheDocumentation makes the site of this checkout: its links lead somewhere, and it loads nothing from elsewhere.
func TestTheDocumentation(t *testing.T) {
	s, err := load(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "site")
	if err := s.write(out); err != nil {
		t.Fatal(err)
	}
	pages := 0
	err = filepath.WalkDir(out, func(file string, d fs.DirEntry, err error) error {
		name := filepath.ToSlash(strings.TrimPrefix(file, out+string(filepath.Separator)))
		isPage := strings.HasSuffix(name, ".html")
		if err != nil || d.IsDir() || !isPage && name != "style.css" && name != "site.js" {
			return err
		}
		text := read(t, out, name)
		for _, m := range loaded.FindAllStringSubmatch(text, -1) {
			if external(m[1]) {
				t.Errorf("%s loads %s", name, m[1])
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s loads what is not there: %v", name, err)
			}
		}
		if !isPage {
			return nil
		}
		pages++
		if !strings.Contains(text, `content="default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"`) {
			t.Errorf("%s has no Content-Security-Policy", name)
		}
		if strings.Count(text, "<h1 ") != 1 {
			t.Errorf("%s has %d headings of the first level", name, strings.Count(text, "<h1 "))
		}
		for _, m := range regexp.MustCompile(`\shref="([^"]*)"`).FindAllStringSubmatch(text, -1) {
			path, _, _ := strings.Cut(m[1], "#")
			if external(m[1]) || path == "" {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), path)); err != nil {
				t.Errorf("%s leads to %s: %v", name, m[1], err)
			}
		}
		return nil
	})
	if err != nil || pages != len(s.pages) {
		t.Errorf("%d pages were written of %d (%v)", pages, len(s.pages), err)
	}
}

func TestScriptIsJavaScript(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("it needs node, which this machine has not")
	}
	out := made(t, map[string]string{})
	for _, script := range []string{"site.js", "search-index.js"} {
		if text, err := exec.CommandContext(t.Context(), "node", "--check", filepath.Join(out, script)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, text)
		}
	}
}
