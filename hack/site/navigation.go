package main

import "github.com/yuin/goldmark/ast"

// section is a part of the navigation.
type section struct {
	Title string
	Pages []entry
}

type entry struct {
	source string
	Title  string
}

// navigate reads the navigation from the index: each heading of the second level is a section, and the first link to a page in each point of the
// lists under it is an entry.
func (s *site) navigate() {
	home := s.pages[index]
	if home == nil {
		return
	}
	targets := map[ast.Node]string{}
	for _, l := range home.links {
		targets[l.node] = l.target
	}
	for n := home.tree.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			if n.Level == 2 {
				s.sections = append(s.sections, section{Title: plain(n, home.text)})
			}
		case *ast.List:
			if len(s.sections) == 0 {
				continue
			}
			into := &s.sections[len(s.sections)-1]
			for item := n.FirstChild(); item != nil; item = item.NextSibling() {
				if e, ok := s.entryOf(item, home, targets); ok {
					into.Pages = append(into.Pages, e)
				}
			}
		}
	}
}

func (s *site) entryOf(item ast.Node, home *page, targets map[ast.Node]string) (e entry, ok bool) {
	_ = ast.Walk(item, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		target := targets[n]
		if !entering || s.pages[target] == nil {
			return ast.WalkContinue, nil
		}
		e, ok = entry{source: target, Title: plain(n, home.text)}, true
		return ast.WalkStop, nil
	})
	return e, ok
}
