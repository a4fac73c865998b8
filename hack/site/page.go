package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// index is the page that the navigation is read from.
const index = "docs/README.md"

// page is one Markdown file.
type page struct {
	// source is its path in the checkout, with slashes.
	source string
	title  string
	text   []byte
	tree   ast.Node
	// anchors are the ids of its headings.
	anchors map[string]bool
	links   []link
}

// link is what a page refers to by a relative path.
type link struct {
	line   int
	to     string // as it is written
	target string // path in the checkout
	anchor string
	node   ast.Node
}

// site is all pages.
type site struct {
	root     string
	pages    map[string]*page
	sections []section
}

// load reads the pages of a checkout, and checks them.
func load(root string) (*site, error) {
	s := &site{root: root, pages: map[string]*page{}}
	sources := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(file, ".md") {
			relative, relErr := filepath.Rel(root, file)
			sources, err = append(sources, filepath.ToSlash(relative)), relErr
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for pages: %w", err)
	}
	for _, source := range sources {
		text, err := os.ReadFile(filepath.Join(root, source))
		if err != nil {
			return nil, fmt.Errorf("reading a page: %w", err)
		}
		s.pages[source] = parse(source, text)
	}
	s.navigate()
	return s, errors.Join(s.problems()...)
}

func parse(source string, content []byte) *page {
	p := &page{source: source, text: content, title: path.Base(source), anchors: map[string]bool{}}
	ids := &slugs{used: p.anchors}
	p.tree = markdown().Parser().Parse(text.NewReader(content), parser.WithContext(parser.NewContext(parser.WithIDs(ids))))
	titled := false
	_ = ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			if n.Level == 1 && !titled {
				p.title, titled = plain(n, content), true
			}
		case *ast.Link:
			p.addLink(n, string(n.Destination))
		case *ast.Image:
			p.addLink(n, string(n.Destination))
		}
		return ast.WalkContinue, nil
	})
	return p
}

// addLink notes a relative link.
func (p *page) addLink(n ast.Node, to string) {
	u, err := url.Parse(to)
	if err == nil && (u.IsAbs() || u.Host != "") {
		return
	}
	l := link{line: p.lineOf(n), to: to, node: n}
	switch {
	case err != nil:
		l.target = to // which is no file
	case u.Path == "":
		l.target, l.anchor = p.source, u.Fragment
	default:
		l.target, l.anchor = path.Join(path.Dir(p.source), u.Path), u.Fragment
	}
	p.links = append(p.links, l)
}

// lineOf is where the block begins that holds a node.
func (p *page) lineOf(n ast.Node) int {
	for ; n != nil; n = n.Parent() {
		if n.Type() == ast.TypeBlock && n.Lines().Len() > 0 {
			return 1 + bytes.Count(p.text[:n.Lines().At(0).Start], []byte("\n"))
		}
	}
	return 1
}

// plain is the text of a node, without its markup.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Text:
			if entering {
				b.Write(n.Value(source))
				if n.SoftLineBreak() || n.HardLineBreak() {
					b.WriteByte(' ')
				}
			}
		case *ast.String:
			if entering {
				b.Write(n.Value)
			}
		case *ast.AutoLink:
			if entering {
				b.Write(n.Label(source))
			}
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			if entering {
				b.Write(n.Lines().Value(source))
			}
		default:
			if !entering && n.Type() == ast.TypeBlock {
				b.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

// sorted are the pages in the order of their paths.
func (s *site) sorted() []*page {
	all := make([]*page, 0, len(s.pages))
	for _, p := range s.pages {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *page) int { return strings.Compare(a.source, b.source) })
	return all
}
