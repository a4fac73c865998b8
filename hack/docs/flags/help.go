package main

import (
	"regexp"
	"strings"
)

// described is one flag.
type described struct {
	name, meaning string
	// value is the default, "" if the flag has none; otherwise says in words what holds then.
	value, otherwise string
}

var (
	flagLine = regexp.MustCompile(`^ {2}--?([a-z0-9-]+)( \S+)?$`)
	// What internal/flagenv writes below the meaning.
	ourDefault = regexp.MustCompile(`^\((?:default (.*), )?environment \S+\)$`)
	// What the flag package writes behind it.
	goDefault = regexp.MustCompile(`^(.*) \(default "?(.*?)"?\)$`)
)

// parse reads the answer to --help, in the form of internal/flagenv or of Go's flag package.
func parse(help string) []described {
	var flags []described
	for line := range strings.Lines(help) {
		line = strings.TrimRight(line, "\n")
		if m := flagLine.FindStringSubmatch(line); m != nil {
			f := described{name: m[1]}
			if m[2] == "" {
				f.value = "false" // a switch, whose default is not told where it is off
			}
			flags = append(flags, f)
			continue
		}
		text, indented := strings.CutPrefix(line, "    ")
		if len(flags) == 0 || !indented {
			continue
		}
		f, text := &flags[len(flags)-1], strings.TrimSpace(text)
		if m := ourDefault.FindStringSubmatch(text); m != nil {
			f.value = m[1]
			continue
		}
		if m := goDefault.FindStringSubmatch(text); m != nil {
			text, f.value = m[1], m[2]
		}
		f.meaning = strings.TrimSpace(f.meaning + " " + text)
	}
	for i := range flags {
		if meaning, otherwise, found := strings.Cut(flags[i].meaning, "; default: "); found {
			flags[i].meaning, flags[i].otherwise = meaning, otherwise
		}
	}
	return flags
}
