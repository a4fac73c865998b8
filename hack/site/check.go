package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// problems are links that lead nowhere, and pages that the navigation does not lead to.
func (s *site) problems() []error {
	var found []error
	for _, p := range s.sorted() {
		for _, l := range p.links {
			if problem := s.broken(l); problem != "" {
				found = append(found, fmt.Errorf("%s:%d: the link %s leads nowhere: %s", p.source, l.line, l.to, problem))
			}
		}
	}
	reachable := map[string]bool{index: true}
	for _, section := range s.sections {
		for _, entry := range section.Pages {
			reachable[entry.source] = true
		}
	}
	for _, p := range s.sorted() {
		if !reachable[p.source] {
			found = append(found, fmt.Errorf("%s is not in the navigation: link to it from a list of %s", p.source, index))
		}
	}
	return found
}

// broken says what is wrong with a link; "" if nothing.
func (s *site) broken(l link) string {
	if l.target == ".." || strings.HasPrefix(l.target, "../") || strings.HasPrefix(l.target, "/") {
		return "it is outside of the checkout"
	}
	if p := s.pages[l.target]; p != nil {
		if l.anchor != "" && !p.anchors[l.anchor] {
			return fmt.Sprintf("%s has no heading #%s", p.source, l.anchor)
		}
		return ""
	}
	info, err := os.Stat(filepath.Join(s.root, filepath.FromSlash(l.target)))
	switch {
	case err != nil:
		return "there is no such file"
	case info.IsDir():
		return "it is a folder: link to a file"
	case l.anchor != "":
		return "only pages have anchors"
	}
	return ""
}
