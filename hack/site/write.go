package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/yuin/goldmark/ast"
)

//go:embed theme
var theme embed.FS

// addressOf is where something of the checkout is in the site: pages of docs at its top, other pages under project, other files under files.
func (s *site) addressOf(source string) string {
	inDocs, ok := strings.CutPrefix(source, "docs/")
	switch {
	case s.pages[source] == nil && ok:
		return shown(inDocs)
	case s.pages[source] == nil:
		return "files/" + shown(source)
	case !ok:
		return "project/" + strings.ToLower(strings.TrimSuffix(source, ".md")) + ".html"
	case path.Base(source) == "README.md":
		return path.Join(path.Dir(inDocs), "index.html")
	default:
		return strings.TrimSuffix(inDocs, ".md") + ".html"
	}
}

// shown is the name by which a browser shows a file, instead of keeping it. Sources are not taken for a part of this module either.
func shown(name string) string {
	switch path.Ext(name) {
	case ".json", ".txt", ".png", ".jpg", ".svg":
		return name
	}
	return name + ".txt"
}

// relative is the way from one address of the site to another.
func relative(from, to string) string {
	up := strings.Repeat("../", strings.Count(from, "/"))
	return up + to
}

func external(to string) bool {
	u, err := url.Parse(to)
	return err != nil || u.IsAbs() || u.Host != ""
}

// write makes the site in a folder, and what was there before goes.
func (s *site) write(out string) error {
	if err := os.RemoveAll(out); err != nil {
		return fmt.Errorf("clearing the folder: %w", err)
	}
	layout, err := template.ParseFS(theme, "theme/page.html")
	if err != nil {
		return fmt.Errorf("reading the theme: %w", err)
	}
	var found []result
	for _, p := range s.sorted() {
		address := s.addressOf(p.source)
		if err := s.relink(p, address, out); err != nil {
			return err
		}
		var body, whole bytes.Buffer
		if err := markdown().Renderer().Render(&body, p.text, p.tree); err != nil {
			return fmt.Errorf("rendering %s: %w", p.source, err)
		}
		if err := layout.Execute(&whole, s.view(p, address, body.String())); err != nil {
			return fmt.Errorf("rendering %s: %w", p.source, err)
		}
		if err := put(out, address, whole.Bytes()); err != nil {
			return err
		}
		found = append(found, p.results(address)...)
	}
	text, err := json.Marshal(found)
	if err != nil {
		return fmt.Errorf("encoding the search index: %w", err)
	}
	// A script, since browsers fetch no JSON for a page that was opened from a disk.
	if err := put(out, "search-index.js", append(append([]byte("searchIndex="), text...), ";\n"...)); err != nil {
		return err
	}
	for _, name := range []string{"style.css", "site.js"} {
		text, err := theme.ReadFile("theme/" + name)
		if err != nil {
			return fmt.Errorf("reading the theme: %w", err)
		}
		if err := put(out, name, text); err != nil {
			return err
		}
	}
	return nil
}

// view is what the layout shows.
type view struct {
	Title, Top string
	Body       template.HTML
	Sections   []viewSection
}

type viewSection struct {
	Title string
	Links []viewLink
}

type viewLink struct {
	Title, URL string
	Current    bool
}

func (s *site) view(p *page, address, body string) view {
	v := view{Title: p.title, Top: relative(address, ""), Body: template.HTML(body)} //nolint:gosec // made by markdown, which lets no HTML through
	for _, section := range s.sections {
		vs := viewSection{Title: section.Title}
		for _, e := range section.Pages {
			vs.Links = append(vs.Links, viewLink{Title: e.Title, URL: relative(address, s.addressOf(e.source)), Current: e.source == p.source})
		}
		v.Sections = append(v.Sections, vs)
	}
	return v
}

// relink makes a page's relative links lead to their places in the site, and copies the files that they name.
func (s *site) relink(p *page, address, out string) error {
	for _, l := range p.links {
		to := s.addressOf(l.target)
		if s.pages[l.target] == nil {
			text, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(l.target)))
			if err != nil {
				return fmt.Errorf("copying a file that %s names: %w", p.source, err)
			}
			if err := put(out, to, text); err != nil {
				return err
			}
		}
		u := url.URL{Fragment: l.anchor}
		if l.target != p.source || l.anchor == "" {
			u.Path = relative(address, to)
		}
		switch n := l.node.(type) {
		case *ast.Link:
			n.Destination = []byte(u.String())
		case *ast.Image:
			n.Destination = []byte(u.String())
		}
	}
	return nil
}

func put(out, address string, text []byte) error {
	file := filepath.Join(out, filepath.FromSlash(address))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("writing a file: %w", err)
	}
	return nil
}

// result is a section of a page, as the search finds it.
type result struct {
	Page    string `json:"page"`
	Section string `json:"section"`
	URL     string `json:"url"`
	Text    string `json:"text"`
}

// results are the sections of a page.
func (p *page) results(address string) []result {
	found := []result{{Page: p.title, URL: address}}
	for n := p.tree.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok {
			if h.Level == 1 {
				continue
			}
			value, _ := h.AttributeString("id")
			id, _ := value.([]byte)
			found = append(found, result{Page: p.title, Section: plain(h, p.text), URL: address + "#" + string(id)})
			continue
		}
		last := &found[len(found)-1]
		last.Text = strings.TrimSpace(last.Text + " " + plain(n, p.text))
	}
	return found
}
